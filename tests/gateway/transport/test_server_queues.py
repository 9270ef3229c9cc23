"""The queues of one server: whose they are, and what each calls."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from uvicorn.server import ServerState

from gateway.transport import server_queues
from gateway.transport.server_queues import HANDSHAKE_S, SLOW_S, InputLimits, queues_of
from tests.support.transport_server import until


def config_of(interval_s: float | None = 20, timeout_s: float | None = 30) -> Any:
    return SimpleNamespace(ws_ping_interval=interval_s, ws_ping_timeout=timeout_s)


def test_sockets_of_one_server_share_queues() -> None:
    one, other, limits = ServerState(), ServerState(), InputLimits()
    queues = queues_of(one, config_of(), limits)
    assert queues_of(one, config_of()) is queues
    assert queues_of(one, config_of(), InputLimits(lambda: None)).limits is limits
    assert queues_of(other, config_of()) is not queues
    assert queues_of(other, config_of()).limits == limits


def test_queues_have_the_configured_timeouts() -> None:
    queues = queues_of(ServerState(), config_of())
    pings, pongs = queues.keepalive._pings, queues.keepalive._pongs
    assert pings is not None and pongs is not None
    delays = [queue._delay_s for queue in (pings, pongs, queues.openings, queues.slowed)]
    assert delays == [20, 30, HANDSHAKE_S, SLOW_S]
    without = queues_of(ServerState(), config_of(None, None)).keepalive
    assert (without._pings, without._pongs) == (None, None)


def test_limits_without_callbacks_do_nothing() -> None:
    limits = queues_of(ServerState(), config_of()).limits
    limits.on_slowed()
    limits.on_flood()


async def test_each_queue_calls_its_method(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    class Socket:
        def handshake_overdue(self) -> None:
            calls.append("overdue")

        def proceed(self) -> None:
            calls.append("proceed")

        def refill(self) -> None:
            calls.append("refill")

    monkeypatch.setattr(server_queues, "HANDSHAKE_S", 0.001)
    monkeypatch.setattr(server_queues, "SLOW_S", 0.001)
    queues = queues_of(ServerState(), config_of())
    queues.turns.add(Socket())
    await asyncio.sleep(0)
    assert calls == ["proceed"]
    queues.openings.add(Socket())
    await until(lambda: len(calls) == 2)
    queues.slowed.add(Socket())
    await until(lambda: len(calls) == 3)
    assert calls == ["proceed", "overdue", "refill"]
