"""Metrics of accepted and rejected handshakes."""

import pytest

from gateway.endpoints.acceptor import Acceptor
from gateway.endpoints.connection_limits import ConnectionLimits, Limits
from gateway.metrics import Metrics
from gateway.server.drain import Drain
from httpapi.audit.recorder import Recorder
from storage.errors import Barred, QuotaExceeded, StorageUnavailable
from tests.gateway.endpoints.handshake import Handshake


class Refusing:
    """An entrance that raises this."""

    name = "chat"

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def admit(self, handshake: object) -> None:
        raise self.error


@pytest.mark.parametrize(("error", "status"), [(Barred(), 403), (QuotaExceeded("members", 5), 409)])
async def test_refusal_of_store_is_response_not_defect(error: Exception, status: int) -> None:
    drain = Drain([], delay_s=0, drain_s=0)
    connections = Acceptor(
        clients={},
        limits=ConnectionLimits(Limits()),
        trusted_proxies=(),
        drain=drain,
        metrics=Metrics().clients,
        audit=Recorder(None, "n"),
    )
    handshake = Handshake()
    await connections.serve(handshake, Refusing(error))  # type: ignore[arg-type]
    assert handshake.status == status
    with pytest.raises(ZeroDivisionError):
        await connections.serve(handshake, Refusing(ZeroDivisionError()))  # type: ignore[arg-type]


async def test_rejection_while_draining_is_counted_as_draining() -> None:
    metrics = Metrics()
    drain = Drain([], delay_s=0, drain_s=0)
    limits = ConnectionLimits(Limits())
    connections = Acceptor(
        clients={}, limits=limits, trusted_proxies=(), drain=drain, metrics=metrics.clients, audit=Recorder(None, "n")
    )

    async def refused(outcome: str) -> float | None:
        handshake = Handshake()
        await connections.serve(handshake, Refusing(StorageUnavailable("away")))  # type: ignore[arg-type]
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
