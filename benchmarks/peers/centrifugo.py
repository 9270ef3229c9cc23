"""Centrifugo 6 through Redis: one channel with many subscribers (W1), and two-person channels (W2, W3)."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import ECKey

from benchmarks.fanout import PAYLOAD_BYTES
from benchmarks.load import Lines, Load, Socket, handshake, masked_frame
from benchmarks.peers.listening import ListeningServer, PipelinedPosts, own_redis
from tests.support.servers import RedisServer, free_port

NAME = "Centrifugo, Redis"
VERSION = "6.9.1"
_MODULE = "github.com/centrifugal/centrifugo/v6"
BUILD = f'go install -ldflags "-X {_MODULE}/internal/build.Version={VERSION}" {_MODULE}@v{VERSION}'
"""Builds it with Go into ~/go/bin; two minutes."""
SETTINGS = """its one-way WebSocket endpoint, no compression; Redis engine with a history of 100 messages; published \
by pipelined requests to its HTTP API over one connection."""
CHAT_SETTINGS = """its JSON protocol over WebSocket, no compression, one process with GOMAXPROCS=1; ES256 tokens; a \
user-limited channel for two with presence and a history of 100 messages in Redis, recoverable, no join and leave \
messages. The client sends its connect and subscribe commands in one frame, and is connected when the subscription is \
confirmed; the reply to its publish command is its acknowledgement."""
ENVELOPE_BYTES = len('{"channel":"room","pub":{"data":"","offset":1000}}')
PREFIX = '{"push":{"channel":"'
LINES = Lines(ack='{"id":3,"publish":{', ready='{"id":2,"subscribe":{')
TOKEN_LIFETIME_S = 3600
_GO_BIN = Path.home() / "go/bin"


def _binary() -> str | None:
    return shutil.which("centrifugo") or shutil.which("centrifugo", path=str(_GO_BIN))


def missing() -> str:
    """What to install for it."""
    if _binary() is not None:
        return ""
    return f"`{BUILD}` builds it" + ("" if shutil.which("go") else " (with Go, which is not on PATH either)")


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


@dataclass(frozen=True, slots=True)
class Pairs:
    """A running server for two-person chats. `key` signs the tokens of its users, who are numbered from 1."""

    pid: int
    port: int
    redis: RedisServer
    key: ECKey

    def sockets(self, count: int, text: str) -> list[tuple[Socket, Socket]]:
        """The writer, whose message has this text, and the reader of each chat; `times` is the number of the chat."""
        pairs = []
        expires_at = int(time.time()) + TOKEN_LIFETIME_S
        request = handshake(self.port, "/connection/websocket")
        for number in range(count):
            users = (2 * number + 1, 2 * number + 2)
            channel = f"chat#{users[0]},{users[1]}"
            writer, reader = (self._hello(user, channel, expires_at) for user in users)
            publish = {"id": 3, "publish": {"channel": channel, "data": {"text": text}}}
            message = masked_frame(json.dumps(publish, separators=(",", ":")).encode())
            pairs.append(
                (
                    Socket(self.port, request, is_writer=True, hello=writer, message=message),
                    Socket(self.port, request, times=number, hello=reader),
                )
            )
        return pairs

    def _hello(self, user: int, channel: str, expires_at: int) -> bytes:
        token = jwt.encode({"alg": "ES256"}, {"sub": str(user), "exp": expires_at}, self.key, algorithms=["ES256"])
        commands = ({"id": 1, "connect": {"token": token}}, {"id": 2, "subscribe": {"channel": channel}})
        return masked_frame(b"\n".join(json.dumps(one, separators=(",", ":")).encode() for one in commands))


def configuration(
    port: int, redis_url: str, *, channel: Mapping[str, object], client: Mapping[str, object]
) -> dict[str, object]:
    """Its configuration file."""
    return {
        "http_server": {"address": "127.0.0.1", "port": port},
        "log": {"level": "error"},
        "prometheus": {"enabled": True},
        "client": {"allowed_origins": ["*"], "channel_limit": 8, **client},
        "http_api": {"insecure": True},
        "uni_websocket": {"enabled": True},
        "channel": {"without_namespace": {"history_size": 100, "history_ttl": "300s", **channel}},
        "engine": {"type": "redis", "redis": {"address": redis_url}},
    }


@contextmanager
def room(folder: Path, subscribers: int) -> Iterator[CentrifugoRoom]:
    """Centrifugo as a contender of W1."""
    with own_redis(folder) as redis, _running(folder, redis, channel={}, client={"insecure": True}) as server:
        yield CentrifugoRoom(server, subscribers)


@contextmanager
def pairs(folder: Path) -> Iterator[Pairs]:
    """Centrifugo as a contender of W2 and W3."""
    folder.mkdir()
    key = ECKey.generate_key("P-256")
    channel = {
        "presence": True,
        "force_recovery": True,
        "allow_user_limited_channels": True,
        "allow_publish_for_subscriber": True,
    }
    client = {"token": {"ecdsa_public_key": key.as_pem(private=False).decode()}}
    with own_redis(folder) as redis, _running(folder, redis, channel=channel, client=client) as server:
        yield Pairs(server.pid, server.port, redis, key)


@contextmanager
def _running(
    folder: Path, redis: RedisServer, *, channel: Mapping[str, object], client: Mapping[str, object]
) -> Iterator[ListeningServer]:
    binary = _binary()
    assert binary is not None  # see `missing`
    port = free_port()
    config = folder / "config.json"
    config.write_text(json.dumps(configuration(port, redis.url, channel=channel, client=client)))
    with ListeningServer(["/usr/bin/env", "GOMAXPROCS=1", binary, "--config", str(config)], folder, port) as server:
        yield server
