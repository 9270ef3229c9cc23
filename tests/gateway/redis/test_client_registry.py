"""The registry of connected clients, on a real Redis."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from gateway.errors import RedisUnavailable
from gateway.interfaces.client_registry import ClientConnection
from gateway.redis.client_registry import MAX_LISTED, RedisClients
from tests.gateway.redis.nodes import INTERVAL_S, LEASE_S, Node, open_node
from tests.support.servers import RedisServer
from tests.support.waiting import eventually, eventually_async


@asynccontextmanager
async def open_clients(url: str, node_id: str) -> AsyncIterator[tuple[Node, RedisClients]]:
    async with open_node(url, node_id) as node:
        clients = RedisClients(node.link, node_id, lease_s=LEASE_S, interval_s=INTERVAL_S)
        node.tasks.spawn(clients.keep(), "clients")
        yield node, clients


def bearer(client_id: str, user_id: int | None = 1, connection_id: str = "c") -> ClientConnection:
    return ClientConnection(client_id, user_id, connection_id, connected_at=100)


async def test_every_node_knows_where_connected_clients_are(redis_url: str) -> None:
    async with open_clients(redis_url, "a") as (_, a), open_clients(redis_url, "b") as (_, b):
        a.arrive(bearer("phone"))
        b.arrive(bearer("laptop", connection_id="d"))
        b.arrive(bearer("phone", user_id=None, connection_id="e"))
        await eventually_async(lambda: _is(b.where_user(1), {"a": 1, "b": 1}))
        assert [(client.client_id, client.node_id) for client in await a.of_user(1)] == [
            ("laptop", "b"),
            ("phone", "a"),
        ]
        assert await b.where_client("phone", 1) == {"a": 1}
        assert await b.where_client("phone", None) == {"b": 1}
        assert await b.owners_of("phone") == {1}
        a.depart(bearer("phone"))
        await eventually_async(lambda: _is(b.where_user(1), {"b": 1}))
        assert await b.where_client("phone", 1) == {}
        assert await b.where_client("phone", None) == {"b": 1}
        assert await b.owners_of("phone") == set()
        assert await a.where_client("nobody", 1) == {} == await a.where_user(99)


async def test_owners_of_client_id_are_known_over_nodes(redis_url: str) -> None:
    async with open_clients(redis_url, "a") as (_, a), open_clients(redis_url, "b") as (_, b):
        for number in range(3):
            a.arrive(bearer("one", user_id=1, connection_id=f"c{number}"))
        b.arrive(bearer("one", user_id=2, connection_id="d"))
        b.arrive(bearer("one", user_id=None, connection_id="e"))
        await eventually_async(lambda: _is(b.where_client("one", 1), {"a": 3}))
        await eventually_async(lambda: _is(a.where_client("one", None), {"b": 1}))
        assert await a.owners_of("one") == {1, 2}


async def test_entries_of_dead_node_expire_with_its_lease(redis_url: str) -> None:
    async with AsyncExitStack() as stack:
        dying, a = await stack.enter_async_context(open_clients(redis_url, "a"))
        node, b = await stack.enter_async_context(open_clients(redis_url, "b"))
        a.arrive(bearer("phone"))
        await eventually_async(lambda: _is(b.where_user(1), {"a": 1}))
        assert 0 < await node.link.call("PTTL", "clients:a") <= LEASE_S * 1000
        await dying.die()
        await eventually_async(lambda: _is(b.where_user(1), {}), LEASE_S + 1)

        async def is_removed() -> bool:
            return bool(await node.link.call("KEYS", "clients:*") == [])

        await eventually_async(is_removed, LEASE_S + 1)


async def test_entries_of_live_node_outlive_one_lease(redis_url: str) -> None:
    async with open_clients(redis_url, "a") as (_, a):
        a.arrive(bearer("phone"))
        await eventually_async(lambda: _is(a.where_user(1), {"a": 1}))
        with pytest.raises(TimeoutError):
            await eventually_async(lambda: _is(a.where_user(1), {}), 2 * LEASE_S)


async def test_entries_lost_by_redis_are_written_again(redis_url: str) -> None:
    async with open_clients(redis_url, "a") as (node, a):
        a.arrive(bearer("phone"))
        await eventually_async(lambda: _is(a.where_user(1), {"a": 1}))
        await node.link.call("FLUSHALL")
        assert await a.where_user(1) == {}
        await eventually_async(lambda: _is(a.where_user(1), {"a": 1}))


async def test_connects_during_outage_are_registered_after_it(redis_server: RedisServer) -> None:
    async with open_clients(redis_server.url, "a") as (node, a):
        a.arrive(bearer("phone"))
        await eventually_async(lambda: _is(a.where_user(1), {"a": 1}))
        redis_server.kill()
        await eventually(lambda: not node.link.is_up)
        with pytest.raises(RedisUnavailable):
            await a.of_user(1)
        a.depart(bearer("phone"))
        a.arrive(bearer("laptop", user_id=2))
        redis_server.start()
        await eventually(lambda: node.link.is_up)
        await eventually_async(lambda: _is(a.where_user(2), {"a": 1}))
        assert await a.where_user(1) == {} == await a.where_client("phone", 1)


async def test_entry_rejected_by_full_redis_is_written_later(redis_url: str) -> None:
    async with open_clients(redis_url, "a") as (node, a):
        a.arrive(bearer("phone"))
        await eventually_async(lambda: _is(a.where_user(1), {"a": 1}))
        await node.link.call("CONFIG", "SET", "maxmemory", 1)
        a.arrive(bearer("laptop", user_id=2))
        await eventually_async(lambda: _has_refused(node))
        await node.link.call("CONFIG", "SET", "maxmemory", 0)
        await eventually_async(lambda: _is(a.where_user(2), {"a": 1}))


async def test_sockets_beyond_list_limit_are_still_counted(redis_url: str) -> None:
    async with open_clients(redis_url, "a") as (node, a):
        for number in range(MAX_LISTED + 50):
            a.arrive(bearer("one", connection_id=f"c{number}"))
        await eventually_async(lambda: _is(a.where_user(1), {"a": MAX_LISTED + 50}))
        assert len(await a.of_user(1)) == MAX_LISTED
        assert await node.link.call("HLEN", "clients:a") == 3


async def _is(question: object, expected: object) -> bool:
    return bool(await question == expected)  # type: ignore[misc]


async def _has_refused(node: Node) -> bool:
    """Whether Redis has refused a script for want of memory."""
    return b"errorstat_OOM" in await node.link.call("INFO", "errorstats")
