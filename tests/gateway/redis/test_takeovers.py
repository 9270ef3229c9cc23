"""Who keeps a seat that two had while Redis was away or frozen: whoever came last, by no clock but Redis' own."""

import asyncio
import time

import orjson
import pytest
import redis

from gateway.errors import RedisUnavailable
from gateway.redis import seat_table
from tests.gateway.redis.nodes import Node, open_node
from tests.gateway.redis.proxy import open_proxy
from tests.gateway.redis.test_presence import enter, scripts_refused, seat
from tests.gateway.redis.waiting import eventually
from tests.servers import RedisServer


async def test_a_takeover_while_redis_was_away_closes_the_older_seat(redis_server: RedisServer) -> None:
    async with (
        open_node(redis_server.url, "a") as a,
        open_proxy(redis_server.port) as proxy,
        open_node(proxy.url, "b") as b,
    ):
        first = await enter(a, seat(1, "old", exclusive=True))
        proxy.freeze()
        with pytest.raises(RedisUnavailable):
            await b.presence.enter(seat(1, "new", exclusive=True))
        proxy.thaw()
        # The node publishes the takeover of whatever entered late, as it does after `enter`.
        await eventually(lambda: bool(b.ear.entered))
        assert [late.connection_id for late, _ in b.ear.entered] == ["new"]
        assert b.ear.entered[0][1].claim > first.claim


async def test_of_two_that_came_while_redis_was_away_the_later_stays_whatever_their_nodes_clocks_say(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_node(redis_server.url, "a") as fast, open_node(redis_server.url, "b") as right:
        with scripts_refused(redis_server):
            with monkeypatch.context() as clock:
                clock.setattr(time, "time_ns", lambda true=time.time_ns: true() + 3600 * 10**9)
                with pytest.raises(RedisUnavailable):
                    await fast.presence.enter(seat(1, "old", exclusive=True))
            await asyncio.sleep(0.1)  # what Redis reckons from their ages is right to some milliseconds
            with pytest.raises(RedisUnavailable):
                await right.presence.enter(seat(1, "new", exclusive=True))
        await eventually(lambda: bool(fast.ear.displaced or right.ear.displaced or displaced_by(right)))
        assert right.ear.displaced == []
        assert fast.ear.displaced or displaced_by(right) == ("old",)
        # And whoever comes next is told a claim of the present.
        assert abs((await enter(fast, seat(1, "newest", exclusive=True))).claim / 1e6 - time.time()) < 60


def displaced_by(node: Node) -> tuple[str, ...]:
    """Who lost their seats to those that the node took late."""
    return tuple(id_ for _, entered in node.ear.entered for id_ in entered.displaced)


async def test_a_taking_that_redis_carries_out_after_its_caller_gave_it_up_takes_no_seat(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat_table, "HOLDS_US", 500_000)
    async with (
        open_proxy(redis_server.port) as proxy,
        open_node(proxy.url, "a") as a,
        open_node(redis_server.url, "b") as b,
    ):
        await enter(a, seat(2, "other"))
        proxy.freeze()
        with pytest.raises(RedisUnavailable):
            await a.presence.enter(seat(1, "old", exclusive=True))  # which waits in the proxy from now on
        a.presence.give_up(seat(1, "old", exclusive=True))
        await enter(b, seat(1, "new", exclusive=True))
        before = scripts_run(redis_server)
        proxy.thaw()
        await eventually(lambda: scripts_run(redis_server) > before)
        with redis.Redis(port=redis_server.port) as client:
            table = orjson.loads(client.hget("presence:1", "1"))
        assert list(table["s"]) == ["new"]


def scripts_run(server: RedisServer) -> int:
    """How many scripts Redis has carried out."""
    with redis.Redis(port=server.port) as client:
        calls: int = client.info("commandstats")["cmdstat_evalsha"]["calls"]
        return calls


async def test_after_a_restart_two_nodes_agree_on_the_newer_exclusive_seat(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url, "a") as a, open_node(redis_server.url, "b") as b:
        await enter(a, seat(1, "old", exclusive=True))
        await enter(b, seat(1, "new", exclusive=True))  # and the takeover is never heard
        with redis.Redis(port=redis_server.port) as client:
            client.flushall()
        await eventually(lambda: bool(a.ear.displaced or b.ear.entered))
    assert b.ear.displaced == []
    assert a.ear.displaced or b.ear.entered[0][1].displaced == ("old",)
