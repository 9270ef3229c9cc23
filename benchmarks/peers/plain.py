"""What one writes first: Starlette with a redis-py pub/sub loop (plain_app.py), on uvicorn with uvloop."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from redis import Redis

from benchmarks.fanout import PAYLOAD_BYTES
from benchmarks.load import Load, Socket, handshake
from benchmarks.peers.listening import ListeningServer
from tests.servers import RedisServer, free_port

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
        """PUBLISH, in one pipeline."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for _ in range(count):
                pipeline.publish("room", "x" * PAYLOAD_BYTES)
            pipeline.execute()


@contextmanager
def room(folder: Path, subscribers: int) -> Iterator[PlainRoom]:
    """A plain application as a contender."""
    with ExitStack() as stack:
        (folder / "redis").mkdir()
        redis = RedisServer(folder / "redis")
        stack.callback(redis.stop)
        redis.start()
        port = free_port()
        app = [sys.executable, "-m", "uvicorn", "benchmarks.peers.plain_app:app", "--port", str(port)]
        options = ["--ws", "websockets-sansio", "--log-level", "warning", "--ws-per-message-deflate", "false"]
        options += ["--ws-ping-interval", "600"]  # a burst may keep it busy for longer than it waits for pongs
        environ = ["/usr/bin/env", f"REDIS_URL={redis.url}", f"PYTHONPATH={Path(__file__).parents[2]}"]
        server = ListeningServer([*environ, *app, *options], folder, port)
        stack.callback(server.stop)
        server.start()
        yield PlainRoom(server, redis, subscribers)
