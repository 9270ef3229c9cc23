"""The straightforward solution: Starlette with a redis-py pub/sub loop (plain_app.py), on uvicorn with uvloop."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from benchmarks.fanout import PAYLOAD_BYTES
from benchmarks.load import Load, Socket, handshake
from benchmarks.peers.listening import ListeningServer, own_redis, uvicorn_server
from tests.support.servers import RedisServer

SETTINGS = """uvicorn with uvloop, httptools and websockets-sansio, no compression; one `pubsub.listen()` loop with \
hiredis that sends to a set of sockets, one after the other; published by one pipeline a burst."""


class PlainRoom:
    """Every socket is a subscriber of the one channel."""

    extra = 0
    prefix = "x"
    message = b""
    hello = b""

    def __init__(self, server: ListeningServer, redis: RedisServer, subscribers: int) -> None:
        self.pid = server.pid
        self.sockets = [Socket(server.port, handshake(server.port, "/ws")) for _ in range(subscribers)]
        self._redis = Redis.from_url(redis.url)

    def publish(self, count: int, load: Load) -> None:
        """Publish with PUBLISH in one pipeline."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for _ in range(count):
                pipeline.publish("room", "x" * PAYLOAD_BYTES)
            pipeline.execute()


@contextmanager
def room(folder: Path, subscribers: int) -> Iterator[PlainRoom]:
    """A plain application as a contender."""
    with own_redis(folder) as redis, uvicorn_server("benchmarks.peers.plain_app:app", folder, redis) as server:
        yield PlainRoom(server, redis, subscribers)
