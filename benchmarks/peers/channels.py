"""Django Channels with channels_redis (channels_app.py), on uvicorn with uvloop."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.fanout import PAYLOAD_BYTES
from benchmarks.load import Load, Socket, handshake
from benchmarks.peers.listening import (
    ListeningServer,
    Publisher,
    own_redis,
    publishing,
    uvicorn_server,
    with_redis,
)

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

    def __init__(self, server: ListeningServer, sender: Publisher, subscribers: int) -> None:
        self.pid = server.pid
        self.sockets = [Socket(server.port, handshake(server.port, "/ws")) for _ in range(subscribers)]
        self._sender = sender

    def publish(self, count: int, load: Load) -> None:
        """group_send from another process."""
        self._sender.publish(count)


@contextmanager
def room(folder: Path, subscribers: int) -> Iterator[ChannelsRoom]:
    """Django Channels as a contender."""
    with (
        own_redis(folder) as redis,
        uvicorn_server("benchmarks.peers.channels_app:app", folder, redis, "--lifespan", "off") as server,
        publishing(
            [*with_redis(redis), sys.executable, "-m", "benchmarks.peers.channels_app", str(PAYLOAD_BYTES)]
        ) as sender,
    ):
        yield ChannelsRoom(server, sender, subscribers)
