"""What one client can take of a node's connections, against real processes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.cluster import Cluster, run_cluster
from tests.support.servers import RedisServer

PER_ADDRESS = 6
PER_USER = 3
HANDSHAKES_PER_USER = 20


@pytest.fixture
async def cluster(redis_url: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    settings = {
        "MAX_CONNECTIONS_PER_ADDRESS": PER_ADDRESS,
        "MAX_CONNECTIONS_PER_USER": PER_USER,
        "HANDSHAKES_PER_MINUTE_PER_USER": HANDSHAKES_PER_USER,
        "TRUSTED_PROXIES": "127.0.0.1",
    }
    async with run_cluster(tmp_path, redis_url, f"sqlite://{tmp_path}/chat.db", nodes=1, **settings) as running:
        yield running


def opening(
    cluster: Cluster, address: str, token: str | None = None, origin: str | None = None, node: int = 0
) -> connect:
    """A socket from an address, as a trusted proxy reports it."""
    query = {"token": token} if token else {}
    url = cluster.nodes[node].ws_url("/ws/phone", **query)
    return connect(url, additional_headers={"X-Forwarded-For": address}, origin=origin, proxy=None)  # type: ignore[arg-type]


async def refused(cluster: Cluster, address: str, token: str | None = None, node: int = 0) -> tuple[int, bool]:
    with pytest.raises(InvalidStatus) as caught:
        async with opening(cluster, address, token, node=node):
            pass
    return caught.value.response.status_code, "Retry-After" in caught.value.response.headers


async def test_address_and_user_get_their_share_and_others_connect(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    async with AsyncExitStack() as sockets:

        async def enter(address: str, token: str | None = None) -> ClientConnection:
            return await sockets.enter_async_context(opening(cluster, address, token))

        crowd = [await enter("192.0.2.1") for _ in range(PER_ADDRESS)]
        assert await refused(cluster, "192.0.2.1") == (429, True)
        await enter("192.0.2.2")
        for n in range(PER_USER):
            await enter(f"198.51.100.{n}", ann.token)
        assert await refused(cluster, "198.51.100.9", ann.token) == (429, True)
        browser = await sockets.enter_async_context(opening(cluster, "192.0.2.1", origin=cluster.nodes[0].url))
        with pytest.raises(ConnectionClosed) as closed:
            await browser.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4003, "a page comes back later"
        await crowd[0].close()
        async with asyncio.timeout(10):
            while True:
                try:
                    await enter("192.0.2.1")
                    break
                except InvalidStatus:
                    await asyncio.sleep(0.05)


@pytest.fixture
async def two_nodes(redis_url: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    settings = {
        "HANDSHAKES_PER_MINUTE_PER_ADDRESS": 2 * HANDSHAKES_PER_USER,
        "HANDSHAKES_PER_MINUTE_PER_USER": HANDSHAKES_PER_USER,
        "TRUSTED_PROXIES": "127.0.0.1",
    }
    async with run_cluster(tmp_path, redis_url, f"sqlite://{tmp_path}/chat.db", nodes=2, **settings) as running:
        yield running


async def accepted(cluster: Cluster, node: int, address: str, token: str | None = None) -> int:
    """Connect to the node until it rejects a handshake; how many it accepted."""
    for count in range(4 * HANDSHAKES_PER_USER):
        try:
            async with opening(cluster, address, token, node=node):
                pass
        except InvalidStatus as error:
            assert error.response.status_code == 503
            assert json.loads(error.response.body or b"")["code"] == "too_many_handshakes"
            assert 1 <= int(error.response.headers["Retry-After"]) <= 60
            return count
    return 4 * HANDSHAKES_PER_USER


def limited(cluster: Cluster, node: int, by: str) -> int:
    metrics = httpx.get(f"{cluster.nodes[node].url}/metrics", trust_env=False).text
    return int(float(metrics.partition(f'chat_gateway_handshakes_limited_total{{by="{by}"}} ')[2].split()[0]))


async def test_handshake_rates_hold_over_two_nodes(two_nodes: Cluster) -> None:
    ann = await two_nodes.user("ann")
    for n in range(HANDSHAKES_PER_USER):
        async with opening(two_nodes, f"192.0.2.{n}", ann.token):
            pass
    refilled = 10
    assert await accepted(two_nodes, 1, "192.0.2.99", ann.token) <= refilled
    assert (limited(two_nodes, 0, "user"), limited(two_nodes, 1, "user")) == (0, 1)
    for _ in range(2 * HANDSHAKES_PER_USER):
        async with opening(two_nodes, "198.51.100.1"):
            pass
    assert await accepted(two_nodes, 1, "198.51.100.1") <= refilled
    assert await refused(two_nodes, "198.51.100.1", "not.a.token", node=1) == (503, True)
    assert limited(two_nodes, 1, "address") == 2
    async with opening(two_nodes, "198.51.100.2", node=1):
        """Others connect."""


async def test_node_counts_handshakes_while_redis_is_down(two_nodes: Cluster, redis_server: RedisServer) -> None:
    ann = await two_nodes.user("ann")
    redis_server.kill()
    for node in (0, 1):
        assert HANDSHAKES_PER_USER <= await accepted(two_nodes, node, f"192.0.2.{node}", ann.token) <= 30
        assert 2 * HANDSHAKES_PER_USER <= await accepted(two_nodes, node, "198.51.100.1") <= 50


async def test_user_beyond_connection_limit_is_rejected(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    for n in range(HANDSHAKES_PER_USER):
        async with opening(cluster, f"192.0.2.{n}", ann.token):
            pass
    assert await refused(cluster, "192.0.2.99", ann.token) == (503, True)
