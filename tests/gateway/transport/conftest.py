"""Every transport test runs on both event loops, which write, pause and half-close differently."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest
import uvloop

from gateway.transport.phase import Phase
from tests.support.recorded_transport import Peer, settle
from tests.support.socket_phases import PhaseChecks


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loops, by name."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def phase_checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[PhaseChecks]:
    """Every step of every socket leaves its flags in a legal combination."""
    checks = PhaseChecks(monkeypatch)
    yield checks
    assert checks.failures == []


@pytest.fixture
def short_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds in time, short enough to be waited for."""
    bounds: dict[str, Any] = {
        "gateway.transport.websocket_protocol.ABORT_S": 0.1,
        "gateway.transport.server_queues.HANDSHAKE_S": 0.1,
        "gateway.transport.server_queues.HEAD_S": 0.1,
        "gateway.transport.server_queues.BODY_S": 0.1,
        "gateway.transport.http_protocol.STALL_S": 0.1,
    }
    for name, value in bounds.items():
        monkeypatch.setattr(name, value)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    """A client of one WebSocket of ours, on a transport that records."""
    peer = Peer()
    yield peer
    peer.returns.set()
    if peer.socket is not None and peer.socket.phase is not Phase.CLOSED:
        peer.socket.connection_lost(None)
    await settle()
