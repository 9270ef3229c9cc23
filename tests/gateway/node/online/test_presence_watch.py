"""Who is told when watched users come and go."""

from collections.abc import Collection, Sequence
from typing import Any, cast

import pytest

from gateway.errors import RedisUnavailable
from gateway.node.online import presence_watch
from gateway.node.online.presence_watch import PresenceWatch
from gateway.protocol.replies import UserPresence

ANN, BOB = 1, 2


class World:
    """Two sockets, and what Redis and the database say."""

    def __init__(self) -> None:
        self.present: set[int] = set()
        self.is_down = False
        self.lookups: list[list[int]] = []
        self.told: list[tuple[str, int, bool]] = []
        self.watch = PresenceWatch(cast("Any", self), cast("Any", self), self.tell)
        self.left: Any = "left"
        self.right: Any = "right"

    async def online(self, user_ids: Collection[int]) -> set[int]:
        if self.is_down:
            raise RedisUnavailable
        self.lookups.append(list(user_ids))
        return self.present & set(user_ids)

    async def of(self, user_ids: Sequence[int], viewer_id: int | None) -> dict[int, int | None]:
        assert viewer_id is None
        return dict.fromkeys(user_ids, 1_500)

    def tell(self, clients: Collection[Any], user: UserPresence) -> None:
        assert user.online or user.last_seen_at is not None
        self.told += [(client, user.user_id, user.online) for client in clients]

    def offline(self, *user_ids: int) -> list[UserPresence]:
        return [UserPresence(user_id, False, None) for user_id in user_ids]


async def test_watchers_are_told_of_changes_only() -> None:
    world = World()
    world.watch.watch(world.left, world.offline(ANN, BOB))
    world.watch.watch(world.right, world.offline(ANN))
    await world.watch.turn()
    world.present = {ANN}
    await world.watch.turn()
    await world.watch.turn()
    assert world.told == [("left", ANN, True), ("right", ANN, True)]
    world.present = set()
    await world.watch.turn()
    assert world.told[2:] == [("left", ANN, False), ("right", ANN, False)]


async def test_later_users_replace_earlier_ones() -> None:
    world = World()
    world.watch.watch(world.left, world.offline(ANN))
    world.watch.watch(world.left, world.offline(BOB))
    world.present = {ANN, BOB}
    await world.watch.turn()
    assert world.told == [("left", BOB, True)]
    world.watch.watch(world.left, [])
    world.present = set()
    await world.watch.turn()
    assert len(world.told) == 1
    assert not any((world.watch._watchers, world.watch._watched, world.watch._known, world.watch._hinted))


async def test_hinted_users_come_first_and_others_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_watch, "OTHERS_A_TURN", 2)
    monkeypatch.setattr(presence_watch, "HINTS_A_TURN", 1)
    world = World()
    world.watch.watch(world.left, world.offline(*range(1, 6)))
    world.watch.hint([5, 4, 99])
    for _ in range(3):
        await world.watch.turn()
    assert world.lookups == [[5, 1, 2], [4, 3], [5, 1]]


async def test_outage_of_redis_tells_nothing() -> None:
    world = World()
    world.watch.watch(world.left, [UserPresence(ANN, True, None)])
    world.present, world.is_down = {ANN}, True
    await world.watch.turn()
    world.is_down = False
    await world.watch.turn()
    assert world.told == []
