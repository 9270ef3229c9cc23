"""Django Channels with channels_redis (channels_app.py), on uvicorn with uvloop."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.fanout import PAYLOAD_BYTES
from benchmarks.load import Load, Socket, handshake
from benchmarks.peers.listening import ListeningServer
from tests.servers import RedisServer, free_port

SETTINGS = """uvicorn with uvloop, httptools and websockets-sansio, no compression; `RedisPubSubChannelLayer`, the \
faster of its two layers; one consumer a socket, all in one group."""


def missing() -> str:
    """What to install for it."""
    found = all(importlib.util.find_spec(name) for name in ("channels", "channels_redis"))
    return "" if found else "install requirements/benchmarks.txt"


class ChannelsRoom:
    """Every socket is a consumer in the one group."""

    extra = 0
    prefix = "x"
    message = b""
    hello = b""

    def __init__(self, server: ListeningServer, sender: subprocess.Popen[str], subscribers: int) -> None:
        self.pid = server.pid
        self.sockets = [Socket(server.port, handshake(server.port, "/ws")) for _ in range(subscribers)]
        self._sender = sender

    def publish(self, count: int, load: Load) -> None:
        """group_send from another process."""
        assert self._sender.stdin is not None
        self._sender.stdin.write(f"{count}\n")
        self._sender.stdin.flush()


@contextmanager
def room(folder: Path, subscribers: int) -> Iterator[ChannelsRoom]:
    """Django Channels as a contender."""
    with ExitStack() as stack:
        (folder / "redis").mkdir()
        redis = RedisServer(folder / "redis")
        stack.callback(redis.stop)
        redis.start()
        port = free_port()
        environ = ["/usr/bin/env", f"REDIS_URL={redis.url}", f"PYTHONPATH={Path(__file__).parents[2]}"]
        app = [sys.executable, "-m", "uvicorn", "benchmarks.peers.channels_app:app", "--port", str(port)]
        options = ["--ws", "websockets-sansio", "--log-level", "warning", "--ws-per-message-deflate", "false"]
        options += ["--ws-ping-interval", "600"]  # a burst may keep it busy for longer than it waits for pongs
        server = ListeningServer([*environ, *app, *options, "--lifespan", "off"], folder, port)
        stack.callback(server.stop)
        server.start()
        sender = subprocess.Popen(
            [*environ, sys.executable, "-m", "benchmarks.peers.channels_app", str(PAYLOAD_BYTES)],
            stdin=subprocess.PIPE,
            text=True,
        )
        stack.enter_context(sender)
        stack.callback(sender.kill)
        yield ChannelsRoom(server, sender, subscribers)
