"""The queue of ending seats: one task, in order, bounded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.errors import RedisUnavailable
from gateway.interfaces.presence import Entered, Left, Present, Seat
from gateway.node import leave_queue
from gateway.node.leave_queue import LeaveQueue
from tests.support.waiting import eventually


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
        self.leave_queue = LeaveQueue(self.presence, lambda seat, _: self.left.append(seat.connection_id))


@asynccontextmanager
async def running() -> AsyncIterator[World]:
    world = World()
    task = asyncio.create_task(world.leave_queue.run())
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
    monkeypatch.setattr(leave_queue, "LINGER_S", 0.2)
    return 0.2


async def test_clean_leave_frees_seat_at_once() -> None:
    async with running() as world:
        world.leave_queue.leave(seat("a"))
        await eventually(lambda: world.left == ["a"], 1)
        assert len(world.leave_queue) == 0


async def test_lingering_seats_share_one_task_and_leave_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leave_queue, "LINGER_S", 1.0)
    async with running() as world:
        tasks = len(asyncio.all_tasks())
        names = [str(number) for number in range(1000)]
        for name in names:
            world.leave_queue.linger(seat(name))
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == tasks
        assert world.left == []
        await eventually(lambda: world.left == names)


async def test_exclusive_seat_is_loosened_before_it_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leave_queue, "LINGER_S", 1.0)
    async with running() as world:
        world.leave_queue.linger(seat("a", exclusive=True))
        await eventually(lambda: world.presence.log == [("loosen", "a")])
        await eventually(lambda: world.presence.log == [("loosen", "a"), ("leave", "a")])


@pytest.mark.usefixtures("short_linger")
async def test_seat_lingers_for_announced_reconnect_time() -> None:
    async with running() as world:
        loop = asyncio.get_running_loop()
        world.leave_queue.expect_back(0.5)
        started = loop.time()
        world.leave_queue.linger(seat("a"))
        await eventually(lambda: world.left == ["a"])
        assert loop.time() - started >= 0.7


async def test_seats_beyond_limit_are_given_up_to_presence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leave_queue, "MAX_WAITING", 3)
    world = World()
    for name in "abcd":
        world.leave_queue.linger(seat(name))
    world.leave_queue.leave(seat("e"))
    assert world.presence.log == [("give up", "d"), ("give up", "e")]
    assert len(world.leave_queue) == 3


async def test_seats_of_a_hundred_full_sockets_wait_for_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node whose clients all vanish gives up no seat, which could cost it its lease; a turn takes one batch."""
    monkeypatch.setattr(leave_queue, "LINGER_S", 0)
    world = World()
    gone = seat("gone")
    for _ in range(100_000):
        world.leave_queue.linger(gone)
    assert world.presence.log == []
    world.leave_queue._queue_expired()
    assert len(world.leave_queue._due) == leave_queue.BATCH
    assert len(world.leave_queue) == 100_000


async def test_outage_does_not_end_the_queue() -> None:
    async with running() as world:
        world.presence.is_away = True
        world.leave_queue.leave(seat("a"))
        await eventually(lambda: world.presence.log == [("leave", "a")])
        world.presence.is_away = False
        world.leave_queue.leave(seat("b"))
        await eventually(lambda: world.left == ["b"])
