"""Seats that end: one task for all of them, in order, and never more of them than the limit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway import departures
from gateway.departures import Departures
from gateway.errors import RedisUnavailable
from gateway.presence import Entered, Left, Present, Seat
from tests.gateway.redis.waiting import eventually


class Presence:
    """Takes what is given back; `is_away` is a Redis that does not answer."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str]] = []
        self.is_away = False

    async def enter(self, seat: Seat, *, reject_second: bool = False) -> Entered | None:
        raise NotImplementedError

    async def members(self, chat_id: int) -> list[Present]:
        raise NotImplementedError

    async def leave(self, seat: Seat) -> Left:
        self.log.append(("leave", seat.connection_id))
        if self.is_away:
            raise RedisUnavailable
        return Left(last=True, count=0)

    async def loosen(self, seat: Seat) -> None:
        self.log.append(("loosen", seat.connection_id))

    def give_up(self, seat: Seat) -> None:
        self.log.append(("give up", seat.connection_id))


class World:
    def __init__(self) -> None:
        self.presence = Presence()
        self.left: list[str] = []
        self.departures = Departures(self.presence, lambda seat, _: self.left.append(seat.connection_id))


@asynccontextmanager
async def running() -> AsyncIterator[World]:
    world = World()
    task = asyncio.create_task(world.departures.run())
    try:
        yield world
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def seat(name: str, *, exclusive: bool = False) -> Seat:
    return Seat(1, 1, "ann", name, exclusive)


@pytest.fixture
def short_linger(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(departures, "LINGER_S", 0.2)
    return 0.2


async def test_who_says_goodbye_is_gone_at_once() -> None:
    async with running() as world:
        world.departures.leave(seat("a"))
        await eventually(lambda: world.left == ["a"], 1)
        assert len(world.departures) == 0


@pytest.mark.usefixtures("short_linger")
async def test_a_thousand_seats_that_linger_are_one_task_and_leave_in_their_order() -> None:
    async with running() as world:
        tasks = len(asyncio.all_tasks())
        names = [str(number) for number in range(1000)]
        for name in names:
            world.departures.linger(seat(name))
        await asyncio.sleep(0.05)
        assert len(asyncio.all_tasks()) == tasks
        assert world.left == []
        await eventually(lambda: world.left == names, 2)


@pytest.mark.usefixtures("short_linger")
async def test_an_exclusive_seat_is_loosened_first() -> None:
    async with running() as world:
        world.departures.linger(seat("a", exclusive=True))
        await eventually(lambda: world.presence.log == [("loosen", "a")], 0.15)
        await eventually(lambda: world.presence.log == [("loosen", "a"), ("leave", "a")], 2)


@pytest.mark.usefixtures("short_linger")
async def test_those_who_were_told_when_to_come_back_are_waited_for() -> None:
    async with running() as world:
        loop = asyncio.get_running_loop()
        world.departures.expect_back(0.5)
        started = loop.time()
        world.departures.linger(seat("a"))
        await eventually(lambda: world.left == ["a"], 3)
        assert loop.time() - started >= 0.7


async def test_what_is_too_much_is_left_to_presence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "MAX_WAITING", 3)
    world = World()
    for name in "abcd":
        world.departures.linger(seat(name))
    world.departures.leave(seat("e"))
    assert world.presence.log == [("give up", "d"), ("give up", "e")]
    assert len(world.departures) == 3


async def test_an_outage_ends_nothing() -> None:
    async with running() as world:
        world.presence.is_away = True
        world.departures.leave(seat("a"))
        await eventually(lambda: world.presence.log == [("leave", "a")], 1)
        world.presence.is_away = False
        world.departures.leave(seat("b"))
        await eventually(lambda: world.left == ["b"], 1)
