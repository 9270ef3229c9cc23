"""Events of users who come and go, on both databases."""

import asyncio
import json
from typing import Any

import pytest

from storage.outbox.queue import Outbox
from storage.outbox_records import EventType, Wanted
from storage.profile_records import Messages
from storage.repositories.users import present_users
from storage.repositories.users.erasures import Erasures
from storage.repositories.users.last_seen import LastSeenRepository
from storage.repositories.users.present_users import PresentUsers
from tests.storage.nodes import Node

WANTED = Wanted({"one": frozenset({"user.online", "user.offline"}), "two": frozenset({"user.offline"})})
SEEN = 1_700_000_000_000


class World:
    """Two nodes, and the outbox."""

    def __init__(self, node: Node, other: Node) -> None:
        self.node, self.other = node, other
        self.left, self.right = PresentUsers(node.database, WANTED), PresentUsers(other.database, WANTED)

    async def events(self, user_id: int, endpoint: str = "one") -> list[tuple[str, dict[str, Any]]]:
        """What waits of the user."""
        extras = await Outbox(self.node.database).extras(endpoint, [-user_id])
        return [(extra.type, json.loads(extra.data)) for extra in extras]

    async def types(self, user_id: int) -> list[str]:
        return [type_ for type_, _ in await self.events(user_id)]

    async def end(self, lease_id: int) -> None:
        """As if it had not been renewed for long; removes what it has left."""
        sql = "UPDATE presence_leases SET renewed_at = $1 WHERE id = $2 RETURNING id"
        await self.node.database.write(sql, SEEN, lease_id)

    async def reap(self) -> None:
        while await self.right.reap():
            pass


@pytest.fixture
async def world(node: Node, other_node: Node) -> World:
    return World(node, other_node)


def online(user_id: int) -> tuple[str, dict[str, Any]]:
    return EventType.USER_ONLINE, {"user_id": user_id}


def offline(user_id: int, seen: str) -> tuple[str, dict[str, Any]]:
    return EventType.USER_OFFLINE, {"user_id": user_id, "last_seen_at": seen}


async def test_user_is_online_once_over_all_nodes(world: World) -> None:
    ann, bob = [(await world.node.person(name)).id for name in ("ann", "bob")]
    one, two = await world.left.take_lease(), await world.right.take_lease()
    assert await world.left.enter(one, [ann, bob, 10**9])
    assert await world.right.enter(two, [ann])
    assert await world.right.enter(two, [ann])  # after an unknown outcome
    await world.left.leave(one, {ann: SEEN, bob: SEEN + 123})
    assert await world.events(ann) == [online(ann)]
    assert await world.events(bob) == [online(bob), offline(bob, "2023-11-14T22:13:20.123000Z")]
    await world.right.leave(two, {ann: SEEN - 1})
    await world.right.leave(two, {ann: SEEN - 1})
    assert await world.events(ann) == [online(ann), offline(ann, "2023-11-14T22:13:20Z")]
    assert await world.events(ann, "two") == [offline(ann, "2023-11-14T22:13:20Z")]
    assert await world.events(10**9) == []
    assert await LastSeenRepository(world.node.database).of([ann, bob], None) == {ann: SEEN, bob: SEEN + 123}
    heads = await Outbox(world.node.database).claim("one", 10, late=False)
    assert sorted(head.stream for head in heads) == [-bob, -ann]


async def test_comings_and_goings_alternate_in_races(world: World) -> None:
    users = [(await world.node.person(f"user{number}")).id for number in range(20)]

    async def come_and_go(store: PresentUsers) -> None:
        lease = await store.take_lease()
        for _ in range(10):
            assert await store.enter(lease, users)
            await store.leave(lease, dict.fromkeys(users, SEEN))

    await asyncio.gather(*(come_and_go(store) for store in (world.left, world.right, world.left, world.right)))
    for user_id in users:
        types = await world.types(user_id)
        assert types == ["user.online", "user.offline"] * (len(types) // 2) and types


async def test_users_of_an_ended_lease_are_removed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(present_users, "REAPED", 2)
    ann, bob, eve = [(await world.node.person(name)).id for name in ("ann", "bob", "eve")]
    one, two = await world.left.take_lease(), await world.right.take_lease()
    assert await world.left.enter(one, [ann, bob, eve])
    assert await world.right.enter(two, [ann])
    await world.reap()
    assert await world.types(bob) == ["user.online"]
    await world.end(one)
    await world.reap()
    assert await world.types(ann) == ["user.online"]
    assert await world.events(bob) == [online(bob), offline(bob, "2023-11-14T22:13:20Z")]
    assert await world.types(eve) == ["user.online", "user.offline"]
    assert [row["id"] for row in await world.node.database.fetch("SELECT id FROM presence_leases")] == [two]


async def test_ended_lease_is_never_used_again(world: World) -> None:
    ann = (await world.node.person("ann")).id
    lease = await world.left.take_lease()
    assert await world.left.renew(lease)
    await world.end(lease)
    assert not await world.left.renew(lease)
    assert not await world.left.enter(lease, [ann])
    assert await world.events(ann) == []
    await world.reap()
    assert not await world.left.renew(lease)


async def test_user_who_comes_back_elsewhere_does_not_go(world: World) -> None:
    ann = (await world.node.person("ann")).id
    one, two = await world.left.take_lease(), await world.right.take_lease()
    assert await world.left.enter(one, [ann])
    await world.end(one)  # the node has stopped
    assert await world.right.enter(two, [ann])
    await world.reap()
    assert await world.types(ann) == ["user.online"]


async def test_erased_user_goes_and_was_never_seen(world: World) -> None:
    ann = (await world.node.person("ann")).id
    lease = await world.left.take_lease()
    assert await world.left.enter(lease, [ann])
    await Erasures(world.node.database).request(ann, Messages.KEEP)
    await world.left.leave(lease, {ann: SEEN})
    assert await world.events(ann) == [online(ann), (EventType.USER_OFFLINE, {"user_id": ann, "last_seen_at": None})]
    assert await world.node.database.fetch("SELECT * FROM last_seen") == []


async def test_presence_is_wanted_by_endpoints_with_its_types(node: Node) -> None:
    assert PresentUsers(node.database, WANTED).is_wanted
    assert not PresentUsers(node.database, Wanted({"one": frozenset({"message.created"})})).is_wanted
    assert not PresentUsers(node.database).is_wanted
