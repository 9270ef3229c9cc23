"""Several Redis servers: the assignment of chats, and the effects of a failed one."""

import asyncio
from collections import Counter

import pytest

from gateway.errors import RedisUnavailable
from gateway.interfaces.presence import Seat
from gateway.redis.sharded import number_of, shard_of
from storage.auth_records import Credential
from tests.gateway.redis.layout_nodes import node
from tests.support.servers import RedisServer
from tests.support.waiting import eventually, eventually_async

CHATS = range(1, 31)
DEAD = 1
"""The shard that dies, of three."""


def lost(chats: range = CHATS) -> list[int]:
    return [chat for chat in chats if shard_of(chat, 3) == DEAD]


def kept(chats: range = CHATS) -> list[int]:
    return [chat for chat in chats if shard_of(chat, 3) != DEAD]


def test_shard_assignment_is_stable_over_versions() -> None:
    assert [shard_of(number, 3) for number in (1, 2, 3, 4, 5, 10**6, 2**63)] == [0, 0, 2, 1, 1, 2, 1]
    assert [shard_of(number_of(name), 5) for name in ("", "a", "node-1", "клиент", "\ud800")] == [2, 0, 2, 2, 3]


@pytest.mark.parametrize("count", [2, 3, 5, 16])
def test_added_shard_moves_only_its_own_share(count: int) -> None:
    before = [shard_of(chat, count) for chat in range(20_000)]
    shares = Counter(before)
    assert all(0.9 < shares[shard] * count / 20_000 < 1.1 for shard in range(count))
    after = [shard_of(chat, count + 1) for chat in range(20_000)]
    assert all(new in (old, count) for old, new in zip(before, after, strict=True))


async def test_dead_shard_affects_only_its_chats(redis_servers: list[RedisServer]) -> None:
    url = ",".join(server.url for server in redis_servers)
    ear, mouth = [name for name in map(str, range(50)) if shard_of(number_of(name), 3) == DEAD][:2]  # at home there
    async with node(url, ear) as a, node(url, mouth) as b:
        await asyncio.gather(*(a.rooms.broker.subscribe(chat) for chat in CHATS))
        for chat in CHATS:
            await a.rooms.presence.enter(Seat(chat, 7, "ann", f"x{chat}", exclusive=True))
        redis_servers[DEAD].kill()
        await eventually(lambda: a.rooms.broker.down and b.rooms.broker.down)
        assert not a.rooms.broker.deaf

        for chat in CHATS:
            b.rooms.broker.publish(chat, b"x")
        await eventually(lambda: sorted(chat for chat, _ in a.ear.heard) == kept())
        for chat in kept():
            assert [present.user_id for present in await b.rooms.presence.members(chat)] == [7]
        with pytest.raises(RedisUnavailable):
            await b.rooms.presence.members(lost()[0])
        for number in range(10):  # of any shard
            b.rooms.broker.announce(b"all %d" % number)
            b.rooms.broker.send(ear, b"a %d" % number)
            ticket = await a.rooms.tickets.issue(Credential(number, 2_000_000_000))
            assert await b.rooms.tickets.redeem(ticket) == Credential(number, 2_000_000_000)
        with pytest.raises(RedisUnavailable):
            await b.rooms.tickets.redeem("tkt_unknown")  # it may be there
        await eventually(lambda: len(a.ear.announcements) == 20)
        assert a.ear.interruptions == 0

        redis_servers[DEAD].start()
        await eventually(lambda: a.ear.interruptions == 1 and not a.rooms.broker.down and not b.rooms.broker.down)
        b.rooms.broker.publish(lost()[0], b"again")
        await eventually(lambda: (lost()[0], b"again") in a.ear.heard)

        async def is_seated_again() -> bool:
            return all([len(await a.rooms.presence.members(chat)) == 1 for chat in lost()])

        await eventually_async(is_seated_again)


async def test_ticket_is_unavailable_if_all_shards_are_down(redis_servers: list[RedisServer]) -> None:
    async with node(",".join(server.url for server in redis_servers), "a") as a:
        for server in redis_servers:
            server.kill()
        await eventually(lambda: a.rooms.broker.down)
        with pytest.raises(RedisUnavailable):
            async with asyncio.timeout(5):
                await a.rooms.tickets.issue(Credential(1, 2_000_000_000))
        a.rooms.broker.announce(b"not received")


async def test_node_deaf_to_one_shard_is_deaf_while_another_is_down(
    redis_servers: list[RedisServer],
) -> None:
    async with node(",".join(server.url for server in redis_servers), "a") as a:
        redis_servers[DEAD].kill()
        await eventually(lambda: a.rooms.broker.down)
        subscription = a.rooms.broker._rooms[0]._subscription  # type: ignore[union-attr, attr-defined]
        subscription.is_whole = False
        assert a.rooms.broker.deaf and a.rooms.broker.down


async def test_different_list_lengths_separate_only_moved_chats(
    redis_servers: list[RedisServer],
) -> None:
    urls = [server.url for server in redis_servers]
    async with node(",".join(urls[:2]), "old") as old, node(",".join(urls), "new") as new:
        await asyncio.gather(*(half.rooms.broker.subscribe(chat) for half in (old, new) for chat in CHATS))
        for chat in CHATS:
            old.rooms.broker.publish(chat, b"x")
            new.rooms.broker.publish(chat, b"y")
        same = [chat for chat in CHATS if shard_of(chat, 2) == shard_of(chat, 3)]
        assert len(same) > len(CHATS) / 2
        await eventually(lambda: len(old.ear.heard) == len(new.ear.heard) == len(CHATS) + len(same))
        assert sorted(chat for chat, said in old.ear.heard if said == b"y") == same
