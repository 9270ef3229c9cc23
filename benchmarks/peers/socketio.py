"""Socket.IO with its Redis adapter (socketio/), WebSockets only, no compression."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.fanout import PAYLOAD_BYTES
from benchmarks.load import Load, Socket, handshake, masked_frame
from benchmarks.peers.listening import ListeningServer, Publisher, own_redis, publishing
from tests.support.servers import find_binary, free_port

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

    def __init__(self, server: ListeningServer, emitter: Publisher, subscribers: int) -> None:
        self.pid = server.pid
        path = "/socket.io/?EIO=4&transport=websocket"
        self.sockets = [Socket(server.port, handshake(server.port, path)) for _ in range(subscribers)]
        self._emitter = emitter

    def publish(self, count: int, load: Load) -> None:
        """Emit to the room from another process, through Redis."""
        self._emitter.publish(count)


@contextmanager
def room(folder: Path, subscribers: int) -> Iterator[SocketIoRoom]:
    """Socket.IO as a contender."""
    node = find_binary("node")
    if not (PROJECT / "node_modules").exists():
        options = ["--prefix", str(PROJECT), "--silent", "--no-audit", "--no-fund"]
        subprocess.run([find_binary("npm"), "ci", *options], check=True)
    port = free_port()
    with (
        own_redis(folder) as redis,
        ListeningServer([node, str(PROJECT / "server.mjs"), str(port), redis.url], folder, port) as server,
        publishing([node, str(PROJECT / "emitter.mjs"), redis.url, str(PAYLOAD_BYTES)]) as emitter,
    ):
        yield SocketIoRoom(server, emitter, subscribers)
