"""Exclusive seats taken twice while Redis was unreachable or frozen: the later one stays, by the clock of Redis."""

import asyncio
import time

import orjson
import pytest
import redis

from gateway.errors import RedisUnavailable
from gateway.redis.presence import table as seat_table
from tests.gateway.redis.nodes import Node, open_node
from tests.gateway.redis.presence.seats import enter, scripts_refused, seat
from tests.gateway.redis.proxy import open_proxy
from tests.support.servers import RedisServer
from tests.support.waiting import eventually


async def test_takeover_during_outage_closes_older_seat(redis_server: RedisServer) -> None:
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


async def test_later_seat_of_outage_wins_despite_skewed_clocks(
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
        # And the next user gets a present claim.
        assert abs((await enter(fast, seat(1, "newest", exclusive=True))).claim.us / 1e6 - time.time()) < 60


def displaced_by(node: Node) -> tuple[str, ...]:
    """Who lost their seats to those that the node took late."""
    return tuple(id_ for _, entered in node.ear.entered for id_ in entered.displaced)


async def test_abandoned_take_executed_late_takes_no_seat(
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


async def test_nodes_agree_on_newer_exclusive_seat_after_flush(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url, "a") as a, open_node(redis_server.url, "b") as b:
        await enter(a, seat(1, "old", exclusive=True))
        await enter(b, seat(1, "new", exclusive=True))  # and the takeover is never heard
        with redis.Redis(port=redis_server.port) as client:
            client.flushall()
        await eventually(lambda: bool(a.ear.displaced or b.ear.entered))
    assert b.ear.displaced == []
    assert a.ear.displaced or b.ear.entered[0][1].displaced == ("old",)
