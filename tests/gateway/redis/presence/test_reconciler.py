"""Pending changes of a node in Redis and the lease of its seats: bounded, in order, without false departures."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import redis
import redis.asyncio

from gateway.errors import RedisUnavailable
from gateway.redis.presence import local_seats
from gateway.redis.presence.lease import NODES, chats_key, lease_key
from gateway.redis.presence.reconciler import BATCH
from tests.gateway.redis.nodes import open_node
from tests.gateway.redis.presence.seats import enter, has_count, is_empty, scripts_refused, seat, sees, users
from tests.support.servers import RedisServer
from tests.support.waiting import eventually, eventually_async


async def test_seats_beyond_owed_limit_expire_with_the_lease(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_seats, "MAX_OWED", 50)
    async with open_node(redis_server.url) as node:
        seats = [seat(number, f"c{number}", chat_id=number % 7) for number in range(300)]
        stays = seat(1000, "stays")
        for one in [*seats, stays]:
            await enter(node, one)
        with scripts_refused(redis_server):
            for one in seats:
                with pytest.raises(RedisUnavailable):
                    await node.presence.leave(one)
            assert len(node.presence._seats.owed(1000)) <= 50
            assert "lease_abandoned" in node.happened
        await eventually(lambda: len(node.ear.gone) == 300)
        assert sorted(user_id for _, user_id, _, _ in node.ear.gone) == list(range(300))
        assert await users(node) == [1000]
        await node.presence.leave(stays)
        await eventually_async(lambda: is_empty(redis_server))


async def test_node_does_not_sweep_its_own_lost_lease(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url, sweep_interval_s=0.01) as node:
        await asyncio.gather(*(enter(node, seat(number, f"c{number}")) for number in range(1500)))
        for _ in range(3):
            lost = node.lease.name
            with redis.Redis(port=redis_server.port) as client:
                client.delete(lease_key(lost))
            await eventually(lambda lost=lost: node.lease.name != lost)  # type: ignore[misc]
            await eventually_async(lambda lost=lost: is_forgotten(redis_server, lost))  # type: ignore[misc]
            assert await has_count(node, 1500)
    assert node.ear.gone == []
    assert node.ear.entered == []


async def test_lost_seats_are_asserted_in_batches(redis_server: RedisServer) -> None:
    """Each lists its chats for the sweepers by one command."""
    async with open_node(redis_server.url, lease_s=60) as node:
        await asyncio.gather(*(enter(node, seat(number, "c", chat_id=number)) for number in range(5 * BATCH)))
        with redis.Redis(port=redis_server.port) as client:
            client.execute_command("CONFIG", "RESETSTAT")
            client.flushall()
            await eventually(lambda: "lease_lost" in node.happened and not node.presence.doubtful)
            counts = {name: stats["calls"] for name, stats in client.info("commandstats").items()}
            assert len(client.keys("presence:*")) == 5 * BATCH
            assert client.scard(chats_key(node.lease.name)) == 5 * BATCH
    assert counts["cmdstat_evalsha"] >= 5 * BATCH
    assert counts["cmdstat_sadd"] < 3 * 5, "one a batch, and those of the lease"


async def is_forgotten(server: RedisServer, name: str) -> bool:
    """Whether a lost lease was swept after all, once nothing bore its name any more."""
    with redis.Redis(port=server.port) as client:
        return not client.sismember(NODES, name)


async def test_lease_is_set_before_its_name_is_listed(redis_server: RedisServer) -> None:
    async with seen(redis_server) as commands, open_node(redis_server.url) as node:
        first = node.lease.name
        with redis.Redis(port=redis_server.port) as client:
            client.delete(lease_key(first))
        await eventually(lambda: node.lease.name != first)
        second = node.lease.name
        await eventually(lambda: f"SADD {NODES} {second}" in commands)
    for name in (first, second):
        is_set = next(i for i, command in enumerate(commands) if command.startswith(f"SET {lease_key(name)} "))
        assert is_set < commands.index(f"SADD {NODES} {name}")


@asynccontextmanager
async def seen(server: RedisServer) -> AsyncIterator[list[str]]:
    """Every command that Redis carries out."""
    commands: list[str] = []

    async def listen(monitor: redis.asyncio.client.Monitor) -> None:
        while True:
            commands.append((await monitor.next_command())["command"])

    async with redis.asyncio.Redis(port=server.port) as client, client.monitor() as monitor:
        listening = asyncio.create_task(listen(monitor))
        try:
            yield commands
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def test_loosened_seat_keeps_presence_and_rejects_none(redis_url: str) -> None:
    async with open_node(redis_url, "a") as a, open_node(redis_url, "b") as b:
        old, new = seat(1, "old", exclusive=True), seat(1, "new", exclusive=True)
        await enter(a, old)
        assert await b.presence.enter(new, reject_second=True) is None
        await a.presence.loosen(old)
        assert await users(b) == [1]
        entered = await b.presence.enter(new, reject_second=True)
        assert entered is not None
        assert (entered.first, entered.displaced) == (False, ())
        assert not (await a.presence.leave(old)).last
        assert await users(a) == [1]


async def test_seat_not_loosened_during_outage_is_loosened_after_it(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url, "a", lease_s=60) as a, open_node(redis_server.url, "b", lease_s=60) as b:
        await enter(a, seat(1, "old", exclusive=True))
        with scripts_refused(redis_server):
            await a.presence.loosen(seat(1, "old", exclusive=True))

        async def lets_in() -> bool:
            return await b.presence.enter(seat(1, "new", exclusive=True), reject_second=True) is not None

        await eventually_async(lets_in, 3)
        await a.presence.leave(seat(1, "old", exclusive=True))
        assert await sees(b, 1)


async def test_loosening_an_absent_seat_has_no_effect(redis_url: str) -> None:
    async with open_node(redis_url, "a") as a:
        await a.presence.loosen(seat(1, "gone", exclusive=True))
        assert await users(a) == []
