"""The drain: each client gets its own reconnect time, closes are spread, and a hurry ends it at once."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from gateway.protocol.codes import Close, Disconnect
from gateway.server.drain import MAX_RETURN_MS, Drain
from tests.support.machine_speed import slowness
from tests.support.waiting import eventually


class Client:
    """Disconnects when it is closed, if it `listens`."""

    def __init__(self, clients: set["Client"], *, listens: bool = True) -> None:
        self._clients = clients
        self._listens = listens
        self.told: list[Disconnect] = []
        clients.add(self)

    def close(self, disconnect: Disconnect) -> None:
        """See OpenSession."""
        self.told.append(disconnect)
        if self._listens:
            asyncio.get_running_loop().call_soon(self._clients.discard, self)


def crowd(count: int, *, listens: bool = True) -> tuple[Any, list[Client]]:
    """The register, and all who are in it."""
    register: set[Client] = set()
    return register, [Client(register, listens=listens) for _ in range(count)]


def returns(clients: list[Client]) -> list[int]:
    """The announced reconnect delay of each client, in ms."""
    assert all(len(client.told) == 1 and client.told[0].code is Close.DRAIN for client in clients)
    return [orjson.loads(client.told[0].reason)["retry_after_ms"] for client in clients]


async def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = asyncio.get_running_loop().time()
    await work()  # type: ignore[misc]
    return asyncio.get_running_loop().time() - started


async def test_clients_get_random_reconnect_times_within_the_window() -> None:
    register, clients = crowd(1000)
    said: list[float] = []
    drain = Drain(register, delay_s=0, drain_s=0.2, on_closing=said.append)
    await drain.run()
    times = returns(clients)
    assert said == [drain.return_s]
    assert max(times) < drain.return_s * 1000 <= MAX_RETURN_MS
    assert len(set(times)) > 500
    assert 0.4 < sum(times) / len(times) / (drain.return_s * 1000) < 0.6
    assert not register


async def test_closes_are_spread_over_the_drain() -> None:
    register, clients = crowd(200)
    drain = Drain(register, delay_s=0, drain_s=1.0)
    running = asyncio.create_task(drain.run())
    await eventually(lambda: len(register) < 200)
    assert len(register) > 100
    assert drain.is_closing
    await running
    assert len(returns(clients)) == 200


async def test_hurry_skips_every_wait() -> None:
    register, clients = crowd(200)
    drain = Drain(register, delay_s=60, drain_s=60)
    running = asyncio.create_task(drain.run())
    await asyncio.sleep(0.02)
    assert len(register) == 200
    drain.hurry()
    assert await seconds(lambda: asyncio.wait_for(running, 30)) < slowness()
    assert len(returns(clients)) == 200


async def test_client_that_stays_delays_stop_only_for_the_drain() -> None:
    register, clients = crowd(3, listens=False)
    drain = Drain(register, delay_s=0, drain_s=0.3)
    assert 0.25 < await seconds(drain.run) < slowness()
    assert len(returns(clients)) == 3
