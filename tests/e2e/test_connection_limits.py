"""What one client can take of a node's connections, against real processes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.cluster import Cluster, run_cluster

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


def opening(cluster: Cluster, address: str, token: str | None = None, origin: str | None = None) -> connect:
    """A socket from an address, as a trusted proxy reports it."""
    query = {"token": token} if token else {}
    url = cluster.nodes[0].ws_url("/ws/phone", **query)
    return connect(url, additional_headers={"X-Forwarded-For": address}, origin=origin, proxy=None)  # type: ignore[arg-type]


async def refused(cluster: Cluster, address: str, token: str | None = None) -> tuple[int, bool]:
    with pytest.raises(InvalidStatus) as caught:
        async with opening(cluster, address, token):
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


async def test_user_beyond_connection_limit_is_rejected(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    for n in range(HANDSHAKES_PER_USER):
        async with opening(cluster, f"192.0.2.{n}", ann.token):
            pass
    assert await refused(cluster, "192.0.2.99", ann.token) == (503, True)
