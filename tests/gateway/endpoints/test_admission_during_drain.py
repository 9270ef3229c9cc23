"""A session whose admission began before the drain, and ends after the drain has closed all others."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from gateway.authentication.authenticator import Anonymous
from gateway.endpoints.acceptor import Acceptor
from gateway.endpoints.base import PendingSession
from gateway.endpoints.connection_limits import ConnectionLimits, Limits
from gateway.endpoints.sse import EventStreams
from gateway.interfaces.session import OpenSession
from gateway.metrics import Metrics
from gateway.protocol.codes import Close, Disconnect
from gateway.server.drain import Drain
from httpapi.audit.recorder import Recorder
from tests.gateway.endpoints.handshake import Handshake
from tests.gateway.sessions.stand_ins import Dialect, LocalClientsStub, MemberNode, context_of


class Slow:
    """An endpoint, and an authenticator, whose answer comes once it is `released`."""

    name = "chat"

    def __init__(self) -> None:
        self.is_asked, self.released = asyncio.Event(), asyncio.Event()
        self.closes: list[Disconnect] = []
        self.log_fields: dict[str, object] = {}

    async def admit(self, handshake: object) -> PendingSession:
        await self._wait()
        session: Any = self
        return PendingSession(None, lambda connection, on_closed: session)

    async def anyone(self, request: object) -> Anonymous:
        await self._wait()
        return Anonymous(None)

    async def _wait(self) -> None:
        self.is_asked.set()
        await self.released.wait()

    # --- the session

    def close(self, disconnect: Disconnect) -> None:
        self.closes.append(disconnect)

    def attach(self) -> None:
        assert self.closes, "its socket would have been open for a moment"


def retry_after_ms(reason: str) -> int:
    return int(orjson.loads(reason)["retry_after_ms"])


async def drained_during(slow: Slow, drain: Drain, serving: Callable[[], Any]) -> None:
    """Run the handshake, and the whole drain between its begin and its end."""
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        tasks.create_task(serving())
        await slow.is_asked.wait()
        await drain.run()
        slow.released.set()


async def test_late_socket_is_closed_with_reconnect_delay() -> None:
    clients: dict[OpenSession, float] = {}
    drain, slow = Drain(clients, delay_s=0, drain_s=0), Slow()
    limits, metrics = ConnectionLimits(Limits()), Metrics().clients
    acceptor = Acceptor(
        clients=clients, limits=limits, trusted_proxies=(), drain=drain, metrics=metrics, audit=Recorder(None, "n")
    )
    handshake: Any = Handshake()
    await drained_during(slow, drain, lambda: acceptor.serve(handshake, slow))
    (close,) = slow.closes
    assert close.code is Close.DRAIN
    assert 0 <= retry_after_ms(close.reason) < 1000 * drain.return_s


async def test_late_stream_ends_with_reconnect_delay() -> None:
    clients: dict[OpenSession, float] = {}
    drain, slow = Drain(clients, delay_s=0, drain_s=0), Slow()
    counts: Any = Metrics().clients
    dialect: Any = Dialect()
    identity: Any = slow
    streams = EventStreams(
        identity,
        context_of(MemberNode(), counts, LocalClientsStub()),
        dialect,
        clients=clients,
        limits=ConnectionLimits(Limits()),
        trusted_proxies=(),
        drain=drain,
    )
    sent: list[Any] = []
    path = {"path": "/sse/me", "raw_path": b"/sse/me", "query_string": b""}
    scope = {"type": "http", "method": "GET", **path, "headers": [], "client": None}

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await drained_during(slow, drain, lambda: streams(scope, receive, send))
    event, data = sent[-1]["body"].decode().split("\n")[-4:-2]
    assert event == "event: close"
    closed = orjson.loads(data.removeprefix("data: "))
    assert closed["code"] == Close.DRAIN and not clients
