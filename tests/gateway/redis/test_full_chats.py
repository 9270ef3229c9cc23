"""Chats that so many users may be in, each as often as it likes: over all nodes, and who came first stays."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis

from gateway.errors import RedisUnavailable
from gateway.presence import Entered, Seat
from tests.gateway.redis.nodes import LEASE_S, Node, open_node
from tests.gateway.redis.proxy import open_proxy
from tests.gateway.redis.waiting import eventually, eventually_async
from tests.servers import RedisServer


@pytest.fixture
async def a(redis_url: str) -> AsyncIterator[Node]:
    async with open_node(redis_url, "a") as node:
        yield node


@pytest.fixture
async def b(redis_url: str) -> AsyncIterator[Node]:
    async with open_node(redis_url, "b") as node:
        yield node


def seat(user_id: int, connection_id: str = "") -> Seat:
    return Seat(1, user_id, f"user{user_id}", connection_id or f"connection{user_id}", capacity=2)


async def enter(node: Node, seat: Seat) -> Entered:
    entered = await node.presence.enter(seat)
    assert entered is not None
    return entered


async def users(node: Node) -> set[int]:
    return {present.user_id for present in await node.presence.members(1)}


async def test_a_third_user_is_refused_on_any_node_until_one_of_the_two_leaves(a: Node, b: Node) -> None:
    await enter(a, seat(-1))
    await enter(b, seat(-2))
    for node in (a, b):
        assert await node.presence.enter(seat(-3)) is None
    assert await users(a) == {-1, -2}
    await a.presence.leave(seat(-1))
    await enter(a, seat(-3))
    assert await users(b) == {-2, -3}
    assert await b.presence.enter(seat(-1)) is None


async def test_each_of_the_two_may_come_as_often_as_it_likes(a: Node, b: Node) -> None:
    for number in range(5):
        await enter(a, seat(-1, f"one{number}"))
        await enter(b, seat(-2, f"two{number}"))
    assert await a.presence.enter(seat(-3)) is None
    for number in range(4):
        await a.presence.leave(seat(-1, f"one{number}"))
    assert await a.presence.enter(seat(-3)) is None
    await a.presence.leave(seat(-1, "one4"))
    await enter(a, seat(-3))


async def test_of_many_who_come_at_once_exactly_two_are_in(a: Node, b: Node) -> None:
    answers = await asyncio.gather(*(node.presence.enter(seat(-user)) for user in range(1, 21) for node in (a, b)))
    assert len(await users(a)) == 2
    assert sum(answer is not None for answer in answers) == 4


async def test_a_dead_nodes_seats_are_free_once_its_lease_has_run_out(a: Node, b: Node) -> None:
    await enter(a, seat(-1))
    await enter(b, seat(-2))
    await a.die()
    async with asyncio.timeout(5 * LEASE_S):
        while await b.presence.enter(seat(-3)) is None:
            await asyncio.sleep(LEASE_S / 10)
    assert await b.presence.enter(seat(-4)) is None
    assert await users(b) == {-2, -3}


async def test_who_came_first_has_its_seat_again_after_redis_lost_all_and_who_came_meanwhile_goes(
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


async def test_who_is_crowded_out_is_named_with_its_newest_claim(a: Node, b: Node) -> None:
    first = await enter(a, seat(-1))
    second = await enter(a, seat(-2))
    await a.link.call("DEL", "presence:1")
    await enter(b, seat(-3, "early"))
    newest = await enter(b, seat(-3, "late"))
    entered, _ = await a.presence._claimant.take(seat(-1), claim=first.claim)
    assert isinstance(entered, Entered)
    assert entered.crowded_out == ()
    entered, _ = await a.presence._claimant.take(seat(-2), claim=second.claim)
    assert isinstance(entered, Entered)
    assert entered.crowded_out == ((-3, newest.claim),)
    assert entered.count == 2


async def test_a_third_that_came_while_redis_was_away_loses_its_seat_when_it_is_back(redis_server: RedisServer) -> None:
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


async def test_who_has_lost_its_seat_unheard_is_told_when_the_first_assert_theirs(a: Node, b: Node) -> None:
    await enter(a, seat(-1))
    await enter(a, seat(-2))
    await a.link.call("DEL", "presence:1")
    third = await enter(b, seat(-3))
    a.presence.check_soon()
    await eventually(lambda: bool(a.ear.entered))
    assert {crowded for _, entered in a.ear.entered for crowded in entered.crowded_out} == {(-3, third.claim)}
    assert await users(a) == {-1, -2}


async def test_seats_that_a_dead_node_left_keep_nobody_away_even_before_they_are_swept(redis_url: str) -> None:
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
            again, _ = await b.presence._claimant.take(seat(-3), claim=entered.claim)
        assert isinstance(again, Entered)
        assert await users(b) == {-3}
