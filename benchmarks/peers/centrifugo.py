"""Centrifugo 6, if its binary is on PATH: one channel with history, through Redis."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.fanout import PAYLOAD_BYTES
from benchmarks.load import Load, Socket, handshake, masked_frame
from benchmarks.peers.listening import ListeningServer, PipelinedPosts, own_redis
from tests.support.servers import find_binary, free_port

SETTINGS = """its one-way WebSocket endpoint, no compression; Redis engine with a history of 100 messages; published \
by pipelined requests to its HTTP API over one connection."""
ENVELOPE_BYTES = len('{"channel":"room","pub":{"data":"","offset":1000}}')


def missing() -> str:
    """What to install for it."""
    return "" if shutil.which("centrifugo") else "put its binary on PATH"


class CentrifugoRoom:
    """Every socket subscribes to the one channel on connect."""

    extra = 0
    prefix = '{"channel":"room","pub"'
    message = b""
    hello = masked_frame(b'{"subs":{"room":{}}}')

    def __init__(self, server: ListeningServer, subscribers: int) -> None:
        self.pid = server.pid
        request = handshake(server.port, "/connection/uni_websocket")
        self.sockets = [Socket(server.port, request) for _ in range(subscribers)]
        body = json.dumps({"channel": "room", "data": "x" * (PAYLOAD_BYTES - ENVELOPE_BYTES)})
        self._posts = PipelinedPosts(server.port, "/api/publish", body)

    def publish(self, count: int, load: Load) -> None:
        """Publish by pipelined POSTs."""
        self._posts.publish(count)


def configuration(port: int, redis_url: str) -> dict[str, object]:
    """Its configuration file."""
    return {
        "http_server": {"address": "127.0.0.1", "port": port},
        "log": {"level": "error"},
        "client": {"insecure": True, "allowed_origins": ["*"], "channel_limit": 8},
        "http_api": {"insecure": True},
        "uni_websocket": {"enabled": True},
        "channel": {"without_namespace": {"history_size": 100, "history_ttl": "300s"}},
        "engine": {"type": "redis", "redis": {"address": redis_url}},
    }


@contextmanager
def room(folder: Path, subscribers: int) -> Iterator[CentrifugoRoom]:
    """Centrifugo as a contender."""
    with own_redis(folder) as redis:
        port = free_port()
        config = folder / "config.json"
        config.write_text(json.dumps(configuration(port, redis.url)))
        with ListeningServer([find_binary("centrifugo"), "--config", str(config)], folder, port) as server:
            yield CentrifugoRoom(server, subscribers)
