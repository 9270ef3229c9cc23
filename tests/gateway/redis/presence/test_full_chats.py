"""Chats with a limit on users, each with any number of connections: over all nodes, the first users stay."""

import asyncio

import pytest
import redis

from gateway.errors import RedisUnavailable
from gateway.interfaces.presence import Entered, Seat
from tests.gateway.redis.nodes import LEASE_S, Node, open_node
from tests.gateway.redis.proxy import open_proxy
from tests.support.servers import RedisServer
from tests.support.waiting import eventually, eventually_async


def seat(user_id: int, connection_id: str = "") -> Seat:
    return Seat(1, user_id, f"user{user_id}", connection_id or f"connection{user_id}", capacity=2)


async def enter(node: Node, seat: Seat) -> Entered:
    entered = await node.presence.enter(seat)
    assert entered is not None
    return entered


async def users(node: Node) -> set[int]:
    return {present.user_id for present in await node.presence.members(1)}


async def test_third_user_is_rejected_on_any_node_until_one_leaves(a: Node, b: Node) -> None:
    await enter(a, seat(-1))
    await enter(b, seat(-2))
    for node in (a, b):
        assert await node.presence.enter(seat(-3)) is None
    assert await users(a) == {-1, -2}
    await a.presence.leave(seat(-1))
    await enter(a, seat(-3))
    assert await users(b) == {-2, -3}
    assert await b.presence.enter(seat(-1)) is None


async def test_admitted_users_may_enter_again(a: Node, b: Node) -> None:
    for number in range(5):
        await enter(a, seat(-1, f"one{number}"))
        await enter(b, seat(-2, f"two{number}"))
    assert await a.presence.enter(seat(-3)) is None
    for number in range(4):
        await a.presence.leave(seat(-1, f"one{number}"))
    assert await a.presence.enter(seat(-3)) is None
    await a.presence.leave(seat(-1, "one4"))
    await enter(a, seat(-3))


async def test_concurrent_users_are_admitted_up_to_two(a: Node, b: Node) -> None:
    answers = await asyncio.gather(*(node.presence.enter(seat(-user)) for user in range(1, 21) for node in (a, b)))
    assert len(await users(a)) == 2
    assert sum(answer is not None for answer in answers) == 4


async def test_seats_of_dead_node_are_free_after_its_lease(a: Node, b: Node) -> None:
    await enter(a, seat(-1))
    await enter(b, seat(-2))
    await a.die()
    async with asyncio.timeout(5 * LEASE_S):
        while await b.presence.enter(seat(-3)) is None:
            await asyncio.sleep(LEASE_S / 10)
    assert await b.presence.enter(seat(-4)) is None
    assert await users(b) == {-2, -3}


async def test_first_users_regain_seats_after_redis_data_loss(
    redis_server: RedisServer,
) -> None:
    async with open_node(redis_server.url, "a") as a, open_node(redis_server.url, "b") as b:
        await enter(a, seat(-1))
        await enter(a, seat(-2))
        with redis.Redis(port=redis_server.port) as client:
            client.flushall()
        await enter(b, seat(-3))  # the node has not noticed yet

        def is_told() -> bool:
            crowded = [user for _, entered in a.ear.entered for user, _ in entered.crowded_out]
            return -3 in crowded or [lost.user_id for lost in b.ear.displaced] == [-3]

        await eventually(is_told)
        await eventually_async(lambda: _are(a, {-1, -2}))
        assert await b.presence.enter(seat(-3)) is None
        assert not a.ear.displaced


async def _are(node: Node, expected: set[int]) -> bool:
    return await users(node) == expected


async def test_crowded_out_user_is_reported_with_newest_claim(a: Node, b: Node) -> None:
    first = await enter(a, seat(-1))
    second = await enter(a, seat(-2))
    await a.link.call("DEL", "presence:1")
    await enter(b, seat(-3, "early"))
    newest = await enter(b, seat(-3, "late"))
    entered, _ = await a.presence._claimant.take(seat(-1), claim=first.claim.settled_us)
    assert isinstance(entered, Entered)
    assert entered.crowded_out == ()
    entered, _ = await a.presence._claimant.take(seat(-2), claim=second.claim.settled_us)
    assert isinstance(entered, Entered)
    assert entered.crowded_out == ((-3, newest.claim),)
    assert entered.count == 2


async def test_third_user_of_an_outage_loses_its_seat_after_it(redis_server: RedisServer) -> None:
    async with (
        open_node(redis_server.url, "a", lease_s=30) as a,
        open_proxy(redis_server.port) as proxy,
        open_node(proxy.url, "b", lease_s=30) as b,
    ):
        await enter(a, seat(-1))
        await enter(a, seat(-2))
        proxy.freeze()
        with pytest.raises(RedisUnavailable):
            await b.presence.enter(seat(-3))
        proxy.thaw()
        await eventually(lambda: [lost.user_id for lost in b.ear.displaced] == [-3])
        assert await users(a) == {-1, -2}


async def test_unnoticed_seat_loss_is_reported_at_next_assert(a: Node, b: Node) -> None:
    await enter(a, seat(-1))
    await enter(a, seat(-2))
    await a.link.call("DEL", "presence:1")
    third = await enter(b, seat(-3))
    a.presence.check_soon()
    await eventually(lambda: bool(a.ear.entered))
    assert {crowded for _, entered in a.ear.entered for crowded in entered.crowded_out} == {(-3, third.claim)}
    assert await users(a) == {-1, -2}


async def test_unswept_seats_of_dead_node_do_not_reject_users(redis_url: str) -> None:
    async with (
        open_node(redis_url, "a", sweep_interval_s=60) as a,
        open_node(redis_url, "b", sweep_interval_s=60) as b,
    ):
        await enter(a, seat(-1))
        await enter(a, seat(-2))
        await a.die()
        await b.link.call("DEL", f"lease:{a.lease.name}")
        async with asyncio.timeout(5):
            entered = await enter(b, seat(-3))
            again, _ = await b.presence._claimant.take(seat(-3), claim=entered.claim.settled_us)
        assert isinstance(again, Entered)
        assert await users(b) == {-3}
