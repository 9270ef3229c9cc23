"""Every test of the transport runs on both event loops: they differ in how they write, pause and half-close."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import uvloop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loops, by name."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def short_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds in time, short enough to be waited for."""
    bounds: dict[str, Any] = {
        "gateway.transport.ABORT_S": 0.1,
        "gateway.deadlines.HANDSHAKE_S": 0.1,
        "gateway.http_transport.HEAD_S": 0.1,
        "gateway.http_transport.BODY_S": 0.1,
        "gateway.http_transport.STALL_S": 0.1,
    }
    for name, value in bounds.items():
        monkeypatch.setattr(name, value)
