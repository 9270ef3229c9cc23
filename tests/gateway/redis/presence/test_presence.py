"""Seats over all nodes: taken, released, taken over, and never left behind by a dead node or a lost Redis."""

import asyncio
import time

import pytest
import redis

from gateway.errors import RedisUnavailable
from gateway.interfaces.presence import Seat
from gateway.redis.presence.lease import lease_key
from gateway.redis.presence.sweeper import MANY
from gateway.redis.presence.table import Cleared, SeatTable
from tests.gateway.redis.nodes import LEASE_S, Node, open_node
from tests.gateway.redis.presence.seats import enter, has_count, is_empty, scripts_refused, seat, sees, users
from tests.gateway.redis.proxy import open_proxy
from tests.support.machine_speed import slowness
from tests.support.servers import RedisServer
from tests.support.waiting import eventually, eventually_async


async def all_keys_expire(server: RedisServer) -> bool:
    with redis.Redis(port=server.port) as client:
        return all(client.ttl(key) >= 0 for key in client.scan_iter())


# --- taking and giving back


async def test_first_and_last_are_exact_per_user_over_nodes(a: Node, b: Node) -> None:
    assert (entered := await enter(a, seat(1, "phone"))).first
    assert entered.count == 1
    assert not (await enter(b, seat(1, "laptop"))).first
    assert (entered := await enter(b, seat(2, "other"))).first
    assert entered.count == 2
    left = await a.presence.leave(seat(1, "phone"))
    assert (left.last, left.count) == (False, 2)
    left = await b.presence.leave(seat(1, "laptop"))
    assert (left.last, left.count) == (True, 1)


async def test_seat_is_released_once(a: Node) -> None:
    await enter(a, seat(1, "x"))
    assert (await a.presence.leave(seat(1, "x"))).last
    assert not (await a.presence.leave(seat(1, "x"))).last


async def test_members_are_users_of_all_nodes_oldest_first(a: Node, b: Node) -> None:
    before = int(time.time())
    await enter(a, seat(7, "x"))
    await enter(b, seat(3, "y"))
    await enter(b, seat(7, "z"))
    members = await a.presence.members(1)
    assert sorted((member.user_id, member.username) for member in members) == [(3, "user3"), (7, "user7")]
    assert all(before <= member.connected_at <= time.time() for member in members)
    assert await b.presence.members(1) == members
    assert await b.presence.members(2) == []


async def test_redis_is_empty_after_everyone_left(redis_server: RedisServer, a: Node) -> None:
    for number in range(20):
        await enter(a, seat(number, f"c{number}", chat_id=number % 5))
    for number in range(20):
        await a.presence.leave(seat(number, f"c{number}", chat_id=number % 5))
    await eventually_async(lambda: is_empty(redis_server))


async def test_every_key_expires(redis_server: RedisServer, a: Node) -> None:
    await enter(a, seat(1, "x"))
    await eventually_async(lambda: all_keys_expire(redis_server), LEASE_S)


async def test_cancelled_enter_leaves_no_seat(a: Node, redis_server: RedisServer) -> None:
    async def hang_up() -> None:
        entering = asyncio.create_task(a.presence.enter(seat(1, "x")))
        await asyncio.sleep(0)
        entering.cancel()
        await asyncio.gather(entering, return_exceptions=True)

    await hang_up()
    await enter(a, seat(2, "y"))
    await eventually_async(lambda: only(a, 2))
    await a.presence.leave(seat(2, "y"))
    await eventually_async(lambda: is_empty(redis_server))


async def only(node: Node, *expected: int) -> bool:
    return await users(node) == list(expected)


# --- takeover


async def test_second_exclusive_seat_displaces_first(a: Node, b: Node) -> None:
    first = await enter(a, seat(1, "old", exclusive=True))
    second = await enter(b, seat(1, "new", exclusive=True))
    assert first.displaced == ()
    assert second.displaced == ("old",)
    assert second.claim > first.claim
    assert not second.first
    left = await a.presence.leave(seat(1, "old", exclusive=True))
    assert not left.last
    assert await users(a) == [1]


async def test_shared_seats_displace_none(a: Node, b: Node) -> None:
    await enter(a, seat(1, "x", exclusive=True))
    assert (await enter(b, seat(1, "y"))).displaced == ()
    assert (await enter(b, seat(2, "z", exclusive=True))).displaced == ()


async def test_concurrent_exclusive_seats_leave_exactly_one(a: Node, b: Node) -> None:
    for round_ in range(100):
        ids = [f"{round_}-{number}" for number in range(4)]
        entered = await asyncio.gather(
            *((a, b)[i % 2].presence.enter(seat(1, id_, chat_id=round_, exclusive=True)) for i, id_ in enumerate(ids))
        )
        claims = {id_: answer.claim for id_, answer in zip(ids, entered, strict=True) if answer is not None}
        displaced = [id_ for answer in entered if answer is not None for id_ in answer.displaced]
        winner = max(ids, key=lambda id_: (claims[id_], id_))
        assert sorted([*displaced, winner]) == sorted(ids)
        assert sum(answer.first for answer in entered if answer is not None) == 1


async def test_second_exclusive_seat_is_rejected_on_request(a: Node, b: Node) -> None:
    await enter(a, seat(1, "old", exclusive=True))
    assert await b.presence.enter(seat(1, "new", exclusive=True), reject_second=True) is None
    await a.presence.leave(seat(1, "old", exclusive=True))
    assert await b.presence.enter(seat(1, "new", exclusive=True), reject_second=True) is not None


async def test_rejected_seat_is_not_kept(redis_server: RedisServer, a: Node, b: Node) -> None:
    await enter(a, seat(1, "old", exclusive=True))
    await b.presence.enter(seat(1, "new", exclusive=True), reject_second=True)
    await a.presence.leave(seat(1, "old", exclusive=True))
    await eventually_async(lambda: is_empty(redis_server))


async def test_unswept_seat_of_dead_node_rejects_none(redis_url: str) -> None:
    async with (
        open_node(redis_url, "a", sweep_interval_s=60) as a,
        open_node(redis_url, "b", sweep_interval_s=60) as b,
        open_node(redis_url, "c", sweep_interval_s=60) as c,
    ):
        await enter(b, seat(1, "b", exclusive=True))
        assert await c.presence.enter(seat(1, "c", exclusive=True), reject_second=True) is None
        await b.die()
        await eventually_async(lambda: may_enter(c, seat(1, "c", exclusive=True)), 2 * LEASE_S)
        await c.die()
        await eventually_async(lambda: may_enter(a, seat(1, "a", exclusive=True)), 2 * LEASE_S)


async def may_enter(node: Node, seat: Seat) -> bool:
    return await node.presence.enter(seat, reject_second=True) is not None


# --- dead nodes


async def test_seats_of_killed_node_are_swept_and_reported_once(redis_server: RedisServer, a: Node, b: Node) -> None:
    async with open_node(redis_server.url, "c") as c:
        for number in range(300):
            await enter(c, seat(number, f"c{number}", chat_id=number % 30))
        await enter(a, seat(0, "stays", chat_id=0))
        await c.die()
        await eventually(lambda: len(a.ear.gone) + len(b.ear.gone) >= 299)
    gone = sorted(a.ear.gone + b.ear.gone)
    assert sorted((chat_id, user_id, name) for chat_id, user_id, name, _ in gone) == sorted(
        (number % 30, number, f"user{number}") for number in range(1, 300)
    )
    await a.presence.leave(seat(0, "stays", chat_id=0))
    await eventually_async(lambda: is_empty(redis_server))
    assert c.ear.gone == []


async def test_large_chat_of_dead_node_is_swept_in_small_steps(redis_server: RedisServer) -> None:
    """Redis serves no other client during a script."""
    async with open_node(redis_server.url, "a", lease_s=60) as a, open_node(redis_server.url, "c", lease_s=60) as c:
        for start in range(0, 3000, 100):
            await asyncio.gather(*(enter(c, seat(number, f"c{number}")) for number in range(start, start + 100)))
        await enter(a, seat(0, "stays"))
        await c.die()
        with redis.Redis(port=redis_server.port) as client:
            client.execute_command("CONFIG", "RESETSTAT")
            client.delete(lease_key(c.lease.name))
            await eventually(lambda: len(a.ear.gone) >= 2999, 60)
            counts = {name: stats["calls"] for name, stats in client.info("commandstats").items()}
    assert sorted(user_id for _, user_id, _, _ in a.ear.gone) == list(range(1, 3000))
    assert a.ear.gone[-1][3] == 1, "the number of those who are present"
    assert counts["cmdstat_hdel"] == 2999
    assert counts["cmdstat_hscan"] > 2999 / (2 * MANY)


async def test_users_of_dead_node_are_no_members_before_sweep(redis_url: str, a: Node) -> None:
    async with open_node(redis_url, "b") as b:
        await enter(b, seat(2, "y"))
        await b.die()
        await eventually_async(lambda: only(a), 2 * LEASE_S)


async def test_users_of_stopped_node_linger_until_they_reconnect(redis_url: str, a: Node) -> None:
    async with open_node(redis_url, "b") as b:
        await enter(b, seat(1, "x"))
        await enter(b, seat(2, "y"))
        await b.presence.stop(0.5)
        await b.die()
        assert sorted(await users(a)) == [1, 2]
        assert not (await enter(a, seat(1, "back"))).first
        await eventually(lambda: bool(a.ear.gone))
        assert await users(a) == [1]
    assert a.ear.gone == [(1, 2, "user2", 1)]


async def test_node_stalled_beyond_its_lease_regains_its_seats(redis_server: RedisServer) -> None:
    async with (
        open_node(redis_server.url, "a") as a,
        open_proxy(redis_server.port) as proxy,
        open_node(proxy.url, "b") as b,
    ):
        for number in range(50):
            await enter(b, seat(number, f"c{number}"))
        proxy.freeze()
        await eventually(lambda: len(a.ear.gone) == 50)
        proxy.thaw()
        await eventually_async(lambda: only(a, *range(50)))
        await eventually(lambda: len(b.ear.entered) == 50)
        assert all(entered.first for _, entered in b.ear.entered)
        assert "node_swept" in a.happened


async def test_late_sweep_keeps_seats_asserted_under_new_lease(redis_server: RedisServer, a: Node, b: Node) -> None:
    await enter(b, seat(1, "x"))
    lost = b.lease.name
    with redis.Redis(port=redis_server.port) as client:
        client.delete(lease_key(lost))
    await eventually(lambda: b.lease.name != lost)
    await eventually_async(lambda: only(a, 1))
    assert await SeatTable(a.link).clear_some(1, lost, "0", 100) == Cleared("0", 1, ())
    assert await users(a) == [1]


# --- Redis lost and found


async def test_flush_restores_every_seat_unchanged(redis_server: RedisServer, a: Node, b: Node) -> None:
    for number in range(250):
        await enter((a, b)[number % 2], seat(number, f"c{number}", exclusive=True))
    before = await a.presence.members(1)
    claim = (await enter(a, seat(999, "x", exclusive=True))).claim
    with redis.Redis(port=redis_server.port) as client:
        client.flushall()
    await eventually_async(lambda: has_count(b, 251))
    after = [member for member in await b.presence.members(1) if member.user_id != 999]
    assert after == before
    newer = await enter(b, seat(999, "y", exclusive=True))
    assert newer.displaced == ("x",)
    assert newer.claim > claim
    assert a.ear.entered == []  # no user had left, so none joins


async def test_redis_restart_restores_every_seat(redis_server: RedisServer, a: Node) -> None:
    await enter(a, seat(1, "x"))
    redis_server.kill()
    await eventually(lambda: a.broker.down)
    redis_server.start()
    await eventually_async(lambda: sees(a, 1))


async def test_seat_not_taken_during_outage_is_taken_after_it(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url, lease_s=60) as node:
        for number in range(100):  # the slow round over all seats would come to it, too, but late
            await enter(node, seat(number, f"c{number}", chat_id=2))
        await enter(node, seat(1, "x"))
        with scripts_refused(redis_server), pytest.raises(RedisUnavailable):
            await node.presence.enter(seat(2, "y"))
        await eventually(lambda: bool(node.ear.entered), 3)
        assert await users(node) == [1, 2]
    assert [(late.connection_id, entered.first) for late, entered in node.ear.entered] == [("y", True)]


async def test_seat_not_released_during_outage_is_released_after_it(
    redis_server: RedisServer,
) -> None:
    async with open_node(redis_server.url, lease_s=60) as node:
        await enter(node, seat(1, "x"))
        await enter(node, seat(2, "y"))
        with scripts_refused(redis_server), pytest.raises(RedisUnavailable):
            await node.presence.leave(seat(1, "x"))
        await eventually(lambda: bool(node.ear.gone))
        assert await users(node) == [2]
    assert node.ear.gone == [(1, 1, "user1", 1)]


async def test_call_to_silent_redis_ends_after_a_second(redis_server: RedisServer) -> None:
    async with open_proxy(redis_server.port) as proxy, open_node(proxy.url, "a") as a:
        await enter(a, seat(1, "x"))
        proxy.freeze()
        started = time.monotonic()
        with pytest.raises(RedisUnavailable):
            await a.presence.enter(seat(2, "y"))
        assert time.monotonic() - started < 1 + 0.5 * slowness()
        proxy.thaw()
        await eventually_async(lambda: sees(a, 1, 2))
        # That call had reached Redis after all, and the join is still reported.
        await eventually(lambda: bool(a.ear.entered))
    assert [(late.connection_id, entered.first) for late, entered in a.ear.entered] == [("y", True)]


async def test_missed_takeover_is_found_at_next_check(a: Node, b: Node) -> None:
    await enter(a, seat(1, "old", exclusive=True))
    await enter(b, seat(1, "new", exclusive=True))
    a.presence.check_soon()
    await eventually(lambda: bool(a.ear.displaced))
    assert a.ear.displaced == [seat(1, "old", exclusive=True)]
    assert b.ear.displaced == []
    b.presence.check_soon()
    await enter(b, seat(2, "z"))
    assert b.ear.displaced == []


async def test_full_redis_fails_only_calls(redis_server: RedisServer, a: Node) -> None:
    with redis.Redis(port=redis_server.port) as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(RedisUnavailable):
            await a.presence.enter(seat(1, "x"))
        await asyncio.sleep(2 * LEASE_S)
        client.config_set("maxmemory", 0)
    await eventually_async(lambda: sees(a, 1))
    assert not a.failures
