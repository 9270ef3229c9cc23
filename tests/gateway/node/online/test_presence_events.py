"""What a node stores of who comes and goes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pytest

from gateway.node.online import presence_events
from gateway.node.online.online_users import LINGER_S, OnlineUsers
from gateway.node.online.presence_events import GRACE_S, RENEW_S, PresenceEvents
from storage.errors import StorageUnavailable

ANN, BOB = 1, 2


class Registry:
    """Needs no memory here."""

    def enter(self, user_id: int) -> None: ...

    def leave(self, user_id: int) -> None: ...


class World:
    """The store, and the clock."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.is_down = False
        self.now = 1000.0
        self.lease = 0
        self.ended: set[int] = set()
        self.dead = 0
        self.on_enter: Callable[[], None] = lambda: None
        self.events = PresenceEvents(self, cast("Any", self), lambda: self.now)
        self.online = OnlineUsers(cast("Any", Registry()), cast("Any", self), now=lambda: self.now, events=self.events)

    def _respond(self) -> None:
        if self.is_down:
            raise StorageUnavailable("away")

    async def take_lease(self) -> int:
        self._respond()
        self.lease += 1
        return self.lease

    async def renew(self, lease_id: int) -> bool:
        self._respond()
        self.calls.append(("renew", lease_id))
        return lease_id not in self.ended

    async def enter(self, lease_id: int, user_ids: Sequence[int]) -> bool:
        self._respond()
        self.on_enter()
        if lease_id in self.ended:
            return False
        self.calls.append(("enter", lease_id, list(user_ids)))
        return True

    async def leave(self, *arguments: Any) -> None:
        self._respond()
        self.calls.append(("leave", *arguments))

    async def reap(self) -> bool:
        self._respond()
        self.dead -= 1
        return self.dead >= 0

    async def write(self, seen: Mapping[int, int]) -> None:
        self.calls.append(("write", seen))

    async def turn(self, seconds: float = 1) -> list[tuple[Any, ...]]:
        """What the store is told in one turn of the owner task, so many seconds later."""
        self.calls, self.now = [], self.now + seconds
        online = self.online
        await online._end(self.now - LINGER_S)
        await online._store(self.events.leave)
        await self.events.turn(lambda: [*online._sockets, *online._left])
        return [call for call in self.calls if call[0] != "renew"]


async def test_who_comes_and_goes_is_stored_once() -> None:
    world = World()
    world.online.arrive(ANN)
    world.online.arrive(ANN)
    assert await world.turn() == [("enter", 1, [ANN])]
    assert await world.turn() == []
    world.online.depart(ANN)
    world.online.depart(ANN)
    assert await world.turn(LINGER_S - 1) == []
    world.online.arrive(ANN)  # a reconnect within the linger
    assert await world.turn(60) == []
    world.online.depart(ANN)
    left = round(1000 * world.now)
    assert await world.turn(LINGER_S) == [("leave", 1, {ANN: left})]
    world.online.arrive(ANN)
    assert await world.turn() == [("enter", 1, [ANN])]


async def test_who_went_before_being_stored_is_not_entered() -> None:
    world = World()
    world.is_down = True
    world.online.arrive(ANN)
    await world.turn()
    world.online.depart(ANN)
    world.online.arrive(BOB)
    await world.turn(60)
    world.is_down = False
    assert await world.turn() == [("enter", 1, [BOB])]


async def test_absence_is_stored_before_the_return() -> None:
    world = World()
    world.online.arrive(ANN)
    await world.turn()
    world.online.depart(ANN)
    world.is_down = True
    await world.turn(60)
    world.online.arrive(ANN)
    world.is_down = False
    calls = await world.turn()
    assert [call[0] for call in calls] == ["leave", "enter"]


async def test_all_are_stored_again_once_a_lease_has_ended() -> None:
    world = World()
    for user_id in (ANN, BOB):
        world.online.arrive(user_id)
    assert await world.turn() == [("enter", 1, [ANN, BOB])]
    world.ended.add(1)
    assert await world.turn(RENEW_S - 1) == []
    world.online.depart(BOB)  # lingers
    assert await world.turn(1) == [("enter", 2, [ANN, BOB])]
    world.ended.add(2)
    world.online.arrive(3)
    assert await world.turn(0) == []  # entering finds it ended
    assert await world.turn(0) == [("enter", 3, [3, ANN, BOB])]


async def test_return_during_a_statement_is_not_forgotten() -> None:
    world = World()

    def go_and_come() -> None:
        world.on_enter = lambda: None
        world.events.depart(ANN)
        world.events.arrive(ANN)

    world.on_enter = go_and_come
    world.online.arrive(ANN)
    assert await world.turn() == [("enter", 1, [ANN])] * 2


async def test_absences_that_are_dropped_end_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.node.online.online_users.MAX_WAITING", 1)
    world = World()
    for user_id in (ANN, BOB, 3):
        world.online.arrive(user_id)
    await world.turn()
    world.online.depart(ANN)
    world.online.depart(BOB)
    assert await world.turn(0) == [("enter", 2, [3, ANN])]


async def test_dead_nodes_are_cleared_after_a_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_events, "REAPS_A_TURN", 3)
    world = World()
    world.dead = 4
    await world.turn(GRACE_S - 1)
    assert world.dead == 4
    world.is_down = True
    await world.turn(RENEW_S)
    world.is_down = False
    await world.turn(GRACE_S - 1)
    assert world.dead == 4
    await world.turn(1)
    assert world.dead == 1
    await world.turn(1)
    assert world.dead == -1


async def test_node_that_stops_leaves_events_to_others() -> None:
    world = World()
    world.online.arrive(ANN)
    await world.turn()
    world.online.depart(ANN)
    world.calls = []
    await world.online.flush()
    assert world.calls == [("write", {ANN: round(1000 * world.now)})]


async def test_clients_of_a_drained_node_have_time_to_return() -> None:
    world = World()
    world.online.arrive(ANN)
    world.online.depart(ANN)
    world.online.expect_back(15)
    assert world.online._linger_s == LINGER_S + 15
