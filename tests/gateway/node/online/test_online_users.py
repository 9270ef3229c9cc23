"""Who is present on a node, and what is stored when they leave."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from gateway import turns
from gateway.node.online import online_users
from gateway.node.online.online_users import LINGER_S, OnlineUsers
from gateway.protocol.replies import UserPresence
from storage.errors import StorageUnavailable

ANN, BOB, EVE = 1, 2, 3


class World:
    """The registry and the store, and the clock."""

    def __init__(self) -> None:
        self.present: set[int] = set()
        self.seen: dict[int, int] = {}
        self.is_down = False
        self.now = 1000.0
        self.online_users = OnlineUsers(cast("Any", self), self, now=lambda: self.now)

    def enter(self, user_id: int) -> None:
        assert user_id not in self.present
        self.present.add(user_id)

    def leave(self, user_id: int) -> None:
        self.present.discard(user_id)

    async def online(self, user_ids: Collection[int]) -> set[int]:
        return self.present & set(user_ids)

    async def write(self, seen: Mapping[int, int]) -> None:
        if self.is_down:
            raise StorageUnavailable("away")
        self.seen |= seen

    async def of(self, user_ids: Sequence[int], viewer_id: int | None) -> dict[int, int | None]:
        return {user_id: self.seen.get(user_id) for user_id in user_ids if viewer_id is None or user_id != EVE}

    async def pass_s(self, seconds: float) -> None:
        self.now += seconds
        await self.online_users._end(self.now - LINGER_S)
        await self.online_users._store(self.write)


async def test_user_stays_present_while_a_socket_is_open() -> None:
    world = World()
    for _ in range(2):
        world.online_users.arrive(ANN)
    world.online_users.depart(ANN)
    await world.pass_s(60)
    assert (world.present, world.seen) == ({ANN}, {})
    world.online_users.depart(ANN)
    world.online_users.depart(ANN)  # of a session that never arrived
    await world.pass_s(LINGER_S - 1)
    assert (world.present, world.seen) == ({ANN}, {})
    await world.pass_s(1)
    assert (world.present, world.seen) == (set(), {ANN: 1_060_000})


async def test_reconnect_within_linger_is_no_absence() -> None:
    world = World()
    world.online_users.arrive(ANN)
    world.online_users.depart(ANN)
    await world.pass_s(LINGER_S - 1)
    world.online_users.arrive(ANN)
    await world.pass_s(60)
    assert (world.present, world.seen) == ({ANN}, {})


async def test_herd_leaves_in_portions_without_who_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PORTION", 1)
    world = World()
    for user_id in (ANN, BOB, EVE):
        world.online_users.arrive(user_id)
        world.online_users.depart(user_id)
    present: list[set[int]] = []

    def come_back() -> None:
        present.append(set(world.present))
        world.online_users.arrive(EVE)

    asyncio.get_running_loop().call_soon(come_back)
    await world.pass_s(60)
    assert (present, world.present, world.seen.keys()) == ([{BOB, EVE}], {EVE}, {ANN, BOB})


async def test_absence_is_stored_once_database_is_back() -> None:
    world = World()
    world.is_down = True
    world.online_users.arrive(ANN)
    world.online_users.depart(ANN)
    await world.pass_s(60)
    assert (world.present, world.seen) == (set(), {})
    world.is_down = False
    await world.pass_s(60)
    assert world.seen == {ANN: 1_000_000}


async def test_users_of_a_dead_node_are_stored_unless_here() -> None:
    world = World()
    world.online_users.arrive(BOB)
    for user_id in (ANN, ANN, BOB):
        world.online_users.gone(user_id)
    await world.pass_s(60)
    assert (world.present, world.seen) == ({BOB}, {ANN: 1_000_000})


async def test_flush_stores_at_once_who_has_left() -> None:
    world = World()
    world.online_users.arrive(ANN)
    world.online_users.depart(ANN)
    await world.online_users.flush()
    assert (world.present, world.seen) == (set(), {ANN: 1_000_000})


async def test_users_waiting_to_be_stored_are_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(online_users, "MAX_WAITING", 2)
    world = World()
    for user_id in range(1, 6):
        world.online_users.arrive(user_id)
        world.online_users.depart(user_id)
    assert len(world.present) == 2
    await world.pass_s(60)
    assert (world.present, len(world.seen)) == (set(), 2)


async def test_state_of_who_is_not_visible_is_that_of_nobody() -> None:
    world = World()
    world.online_users.arrive(BOB)
    world.online_users.arrive(EVE)
    world.seen = {ANN: 1_500, BOB: 1_500, EVE: 1_500}
    assert await world.online_users.states([EVE, ANN, BOB], ANN) == [
        UserPresence(EVE, False, None),
        UserPresence(ANN, False, datetime.fromtimestamp(1.5, UTC)),
        UserPresence(BOB, True, None),
    ]
    assert (await world.online_users.states([EVE], None))[0].online
