"""Socket.IO with its Redis adapter (socketio/), WebSockets only, no compression."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.fanout import PAYLOAD_BYTES
from benchmarks.load import Load, Socket, handshake, masked_frame
from benchmarks.peers.listening import ListeningServer
from tests.servers import RedisServer, find_binary, free_port

PROJECT = Path(__file__).parent / "socketio"

SETTINGS = """Node, WebSockets only, no compression, `bufferutil` for its masks; `@socket.io/redis-adapter` over two \
connections of node-redis; published by `@socket.io/redis-emitter` from another process."""


def missing() -> str:
    """What to install for it."""
    return "" if all(map(shutil.which, ("node", "npm"))) else "install Node and npm (Debian: nodejs, npm)"


class SocketIoRoom:
    """Every socket is a client in the one room."""

    extra = 0
    prefix = '42["message"'
    message = b""
    hello = masked_frame(b"40")

    def __init__(self, server: ListeningServer, emitter: subprocess.Popen[str], subscribers: int) -> None:
        self.pid = server.pid
        path = "/socket.io/?EIO=4&transport=websocket"
        self.sockets = [Socket(server.port, handshake(server.port, path)) for _ in range(subscribers)]
        self._emitter = emitter

    def publish(self, count: int, load: Load) -> None:
        """Emit to the room from another process, through Redis."""
        assert self._emitter.stdin is not None
        self._emitter.stdin.write(f"{count}\n")
        self._emitter.stdin.flush()


@contextmanager
def room(folder: Path, subscribers: int) -> Iterator[SocketIoRoom]:
    """Socket.IO as a contender."""
    node = find_binary("node")
    if not (PROJECT / "node_modules").exists():
        options = ["--prefix", str(PROJECT), "--silent", "--no-audit", "--no-fund"]
        subprocess.run([find_binary("npm"), "ci", *options], check=True)
    with ExitStack() as stack:
        (folder / "redis").mkdir()
        redis = RedisServer(folder / "redis")
        stack.callback(redis.stop)
        redis.start()
        port = free_port()
        server = ListeningServer([node, str(PROJECT / "server.mjs"), str(port), redis.url], folder, port)
        stack.callback(server.stop)
        server.start()
        emitter = subprocess.Popen(
            [node, str(PROJECT / "emitter.mjs"), redis.url, str(PAYLOAD_BYTES)], stdin=subprocess.PIPE, text=True
        )
        stack.enter_context(emitter)
        stack.callback(emitter.kill)
        yield SocketIoRoom(server, emitter, subscribers)
