"""Echo sessions on separate sockets, without the rest of a node."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.interfaces.connection import CONNECTION, Connection
from gateway.interfaces.rate_limits import RateLimited
from gateway.metrics import Metrics
from gateway.redis.byte_quotas import LocalByteBuckets
from gateway.sessions.echo import EchoService, EchoSession
from gateway.sessions.echo_quota import EchoLimits, EchoQuota
from gateway.sessions.echo_upstream import Upstream
from gateway.tasks import Tasks
from storage.records import Direction, LinePage, NewLine
from tests.support.transport_server import Server, closed, running, until

USER_ID = 7
TIMEOUT_S = 30.0
UNLIMITED = EchoLimits()

Done = Callable[[bool], None]


class FakeTranscripts:
    """Stores at once, or, while `holds`, when it is told to."""

    def __init__(self, *, holds: bool = False) -> None:
        self.holds = holds
        self.is_busy = False
        self.stored: list[NewLine] = []
        self.waiting: list[tuple[Sequence[NewLine], Done]] = []

    def submit(self, lines: Sequence[NewLine], done: Done) -> None:
        self.waiting.append((lines, done))
        if not self.holds:
            asyncio.get_running_loop().call_soon(self.answer)

    def answer(self, is_stored: bool = True) -> None:
        """Answer everything that waits."""
        waiting, self.waiting = self.waiting, []
        for lines, done in waiting:
            self.stored += lines if is_stored else []
            done(is_stored)

    async def page(self, user_id: int, after: int, limit: int) -> LinePage:
        raise NotImplementedError

    @property
    def words(self) -> list[tuple[str, bytes]]:
        """What is stored, as (direction, payload)."""
        return [(line.direction.value, line.payload) for line in self.stored]

    def payloads(self, direction: Direction) -> list[bytes]:
        """What is stored in one direction."""
        return [line.payload for line in self.stored if line.direction is direction]

    @property
    def waiting_bytes(self) -> int:
        """What the sessions have under way, each message once."""
        return sum(len(lines[0].payload) for lines, _ in self.waiting)


class LocalQuotas(LocalByteBuckets):
    """The buckets of a node without Redis, as `ByteQuotas`; they refill by a clock that stands still."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)

    async def take(self, key: str, fewest: int, most: int, size: int) -> int | RateLimited:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().take(key, fewest, most, size)

    async def give_back(self, key: str, unused: int, size: int) -> None:
        await self.take(key, -unused, -unused, size)


@dataclass
class EchoServer:
    """Accepts every client."""

    echo: EchoService
    transcripts: FakeTranscripts
    metrics: Metrics
    quotas: "LocalQuotas"
    sessions: list[EchoSession] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    server: Server | None = None
    before_attach: Callable[[EchoSession], None] = lambda _: None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        assert (await receive())["type"] == "websocket.connect"
        lane: Connection = scope["extensions"][CONNECTION]
        session = self.echo.session(USER_ID, "192.0.2.1", float("inf"), lane, lambda _, code: self.ends.append(code))
        await send({"type": "websocket.accept"})
        self.sessions.append(session)
        self.before_attach(session)
        session.attach()
        await closed(lane)

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self.server is not None
        return self.server.port

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[ClientConnection]:
        """A client that is connected."""
        count = len(self.sessions)
        async with connect(f"ws://127.0.0.1:{self.port}/", proxy=None, **options) as client:
            await until(lambda: len(self.sessions) > count)
            yield client

    def metric(self, name: str, **labels: str) -> float:
        """A counter's value."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def echo_server(
    upstream_url: str | None = None, *, holds: bool = False, limits: EchoLimits = UNLIMITED
) -> AsyncIterator[EchoServer]:
    """An echo over transcripts of the test's; with a URL, proxied to there."""
    transcripts, tasks, metrics = FakeTranscripts(holds=holds), Tasks(), Metrics()
    upstream = None if upstream_url is None else Upstream(upstream_url)
    quotas = LocalQuotas()
    quota = EchoQuota(quotas, limits, tasks)
    app = EchoServer(EchoService(transcripts, tasks, metrics.clients, upstream, quota), transcripts, metrics, quotas)
    try:
        async with running(app) as app.server:
            yield app
    finally:
        async with asyncio.timeout(TIMEOUT_S):
            await tasks.close()


async def everything(client: ClientConnection) -> list[str | bytes]:
    """All that comes until the server closes."""
    received: list[str | bytes] = []
    try:
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                received.append(await client.recv())
    except ConnectionClosed:
        return received


async def end_of(client: ClientConnection) -> tuple[int | None, str | None]:
    """The close code and reason, once the server has closed."""
    async with asyncio.timeout(TIMEOUT_S):
        await client.wait_closed()
    return client.close_code, client.close_reason
