"""Metrics of accepted and rejected handshakes."""

from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response

from gateway.endpoints.acceptor import Acceptor
from gateway.endpoints.connection_limits import ConnectionLimits, Limits
from gateway.metrics import Metrics
from gateway.server.drain import Drain
from httpapi.audit.recorder import Recorder
from storage.errors import StorageUnavailable


class Handshake:
    """A handshake of a program, which hears why it is refused."""

    def __init__(self) -> None:
        self.headers = Headers()
        self.client = None
        self.scope: dict[str, Any] = {}
        self.connection = self
        self.status = 0

    def when_closed(self, call: object) -> bool:
        return True

    async def reject(self, response: Response) -> None:
        self.status = response.status_code


class NoStore:
    """An entrance whose store is away."""

    name = "chat"

    async def admit(self, websocket: object) -> None:
        raise StorageUnavailable("away")


async def test_rejection_while_draining_is_counted_as_draining() -> None:
    metrics = Metrics()
    drain = Drain([], delay_s=0, drain_s=0)
    limits = ConnectionLimits(Limits())
    connections = Acceptor(
        clients={}, limits=limits, trusted_proxies=(), drain=drain, metrics=metrics.clients, audit=Recorder(None, "n")
    )

    async def refused(outcome: str) -> float | None:
        handshake = Handshake()
        await connections.serve(handshake, NoStore())  # type: ignore[arg-type]
        assert handshake.status == 503
        labels = {"dialect": "chat", "outcome": outcome}
        return metrics.registry.get_sample_value("chat_gateway_handshakes_total", labels)

    assert await refused("unavailable") == 1
    drain.is_closing = True
    assert await refused("draining") == 1
    assert (
        metrics.registry.get_sample_value(
            "chat_gateway_handshakes_total", {"dialect": "chat", "outcome": "unavailable"}
        )
        == 1
    )
