"""How clients are sent away: each with a time of its own to come back, spread out, and at once if it must be."""

import asyncio
from collections.abc import Callable

import orjson

from gateway.codes import Close, Disconnect
from gateway.drain import MAX_RETURN_MS, Drain
from tests.gateway.redis.waiting import eventually


class Client:
    """Goes when it is told to, if it listens."""

    def __init__(self, clients: set["Client"], *, listens: bool = True) -> None:
        self._clients = clients
        self._listens = listens
        self.told: list[Disconnect] = []
        clients.add(self)

    def close(self, disconnect: Disconnect) -> None:
        """See Leaving."""
        self.told.append(disconnect)
        if self._listens:
            asyncio.get_running_loop().call_soon(self._clients.discard, self)


def crowd(count: int, *, listens: bool = True) -> tuple[set[Client], list[Client]]:
    """The register, and all who are in it."""
    register: set[Client] = set()
    return register, [Client(register, listens=listens) for _ in range(count)]


def returns(clients: list[Client]) -> list[int]:
    """When each was told to come back, in ms."""
    assert all(len(client.told) == 1 and client.told[0].code is Close.DRAIN for client in clients)
    return [orjson.loads(client.told[0].reason)["retry_after_ms"] for client in clients]


async def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = asyncio.get_running_loop().time()
    await work()  # type: ignore[misc]
    return asyncio.get_running_loop().time() - started


async def test_each_client_gets_a_random_time_of_its_own_within_the_window_that_was_said() -> None:
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


async def test_the_closes_are_spread_over_the_drain() -> None:
    register, clients = crowd(200)
    drain = Drain(register, delay_s=0, drain_s=1.0)
    running = asyncio.create_task(drain.run())
    await eventually(lambda: len(register) < 200)
    assert len(register) > 100
    assert drain.is_closing
    await running
    assert len(returns(clients)) == 200


async def test_a_second_signal_skips_every_wait() -> None:
    register, clients = crowd(200)
    drain = Drain(register, delay_s=60, drain_s=60)
    running = asyncio.create_task(drain.run())
    await asyncio.sleep(0.02)
    assert len(register) == 200
    drain.hurry()
    assert await seconds(lambda: asyncio.wait_for(running, 2)) < 1
    assert len(returns(clients)) == 200


async def test_a_client_that_does_not_go_holds_nobody_up_for_longer_than_the_drain() -> None:
    register, clients = crowd(3, listens=False)
    drain = Drain(register, delay_s=0, drain_s=0.3)
    assert 0.25 < await seconds(drain.run) < 1
    assert len(returns(clients)) == 3
