"""Turns of callers: few run at once, in order, and no caller takes another's."""

import asyncio

import pytest

from httpapi.caller_turns import CallerTurns
from httpapi.errors import TooManyAtOnce


class Work:
    """Requests that run until they are told to end."""

    def __init__(self) -> None:
        self.turns = CallerTurns(at_once=2, per_caller=5, total=8)
        self.running: list[tuple[str, int]] = []
        self.end = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def request(self, caller: str, number: int) -> None:
        async with self.turns.turn(caller):
            self.running.append((caller, number))
            await self.end.wait()

    async def start(self, caller: str, count: int) -> None:
        self.tasks += [asyncio.create_task(self.request(caller, number)) for number in range(count)]
        for _ in range(5):
            await asyncio.sleep(0)


async def test_caller_waits_for_own_requests_only() -> None:
    work = Work()
    await work.start("ann", 5)
    await work.start("bob", 1)
    assert work.running == [("ann", 0), ("ann", 1), ("bob", 0)]
    work.end.set()
    await asyncio.gather(*work.tasks)
    assert [number for caller, number in work.running if caller == "ann"] == [0, 1, 2, 3, 4]
    assert work.turns._callers == {}


async def test_further_requests_are_rejected() -> None:
    work = Work()
    await work.start("ann", 5)
    with pytest.raises(TooManyAtOnce):
        await work.request("ann", 6)
    await work.start("bob", 3)
    with pytest.raises(TooManyAtOnce):
        await work.request("carol", 0)
    assert set(work.turns._callers) == {"ann", "bob"}
    work.end.set()
    await asyncio.gather(*work.tasks)


async def test_cancelled_request_gives_its_place_back() -> None:
    work = Work()
    await work.start("ann", 3)
    for task in work.tasks:
        task.cancel()
    await asyncio.gather(*work.tasks, return_exceptions=True)
    assert work.turns._callers == {}
    await work.start("ann", 2)
    assert work.running[-2:] == [("ann", 0), ("ann", 1)]
    work.end.set()
    await asyncio.gather(*work.tasks[-2:])
