"""One leeway for clock differences, for all kinds of tokens and all URLs."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from auth.tokens.access_tokens import GUEST_LIFETIME_S, GuestIssuer, Issuer, TokenNames
from auth.tokens.jws import LEEWAY_S
from gateway.node.evictions import EXPIRY_INTERVAL_S
from tests.support.cluster import Cluster, run_cluster
from tests.support.external_tokens import SECRET, by_secret

MAIN = {"JWT_ISSUER": "https://main.example", "JWT_AUDIENCE": "chat", "SECRET_KEY": SECRET}
LATE_S = 5.0
"""From the decision to close to the client's knowledge of it, on a busy machine."""


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, sqlite_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, sqlite_url, SECOND_CONNECTION="allow", **MAIN) as cluster:
        yield cluster


async def tokens(cluster: Cluster, left_s: int) -> dict[str, str]:
    """A token of each kind whose `exp` is so many seconds from now, by the path that it opens."""
    key = await cluster.keys.signing_key()
    ann = await cluster.user("ann")
    room = GuestIssuer(TokenNames(), now=lambda: time.time() - GUEST_LIFETIME_S + left_s)
    return {
        "/channels/public": Issuer(TokenNames(), left_s).issue(key, ann.id, ann.person.username),
        "/channels/echo": by_secret(exp=int(time.time()) + left_s),
        "/updates/room1": room.issue(key, "user1", "user1@example.com", "room1"),
    }


async def http_status(cluster: Cluster, node: int, token: str) -> int:
    async with httpx.AsyncClient(base_url=cluster.nodes[node].url, trust_env=False) as http:
        return (await http.get("/api/v1/chats", headers={"Authorization": f"Bearer {token}"})).status_code


async def opens(url: str) -> bool:
    try:
        async with connect(url, proxy=None):
            return True
    except InvalidStatus as refused:
        assert refused.response.status_code == 401
        return False


@pytest.mark.parametrize("node", [0, 1])
async def test_expired_token_works_within_leeway_then_socket_closes(cluster: Cluster, node: int) -> None:
    async def outlived(path: str, token: str) -> None:
        ends = time.time() + left_s
        if not path.startswith("/updates"):
            assert await http_status(cluster, node, token) == 200, path
        async with connect(cluster.nodes[node].ws_url(path, token=token), proxy=None) as client:
            async with asyncio.timeout(left_s + EXPIRY_INTERVAL_S + LATE_S):
                await client.wait_closed()
            assert client.close_code == 4401
        assert time.time() >= ends - 2, "not at its exp, which has passed long ago"  # whole seconds, and the setting up

    left_s = 6
    given = await tokens(cluster, left_s - LEEWAY_S)
    await asyncio.gather(*(outlived(path, token) for path, token in given.items()))


async def test_token_past_leeway_is_rejected(cluster: Cluster) -> None:
    for node in range(2):
        for path, token in (await tokens(cluster, -LEEWAY_S - 1)).items():
            assert await http_status(cluster, node, token) == 401, path
            assert not await opens(cluster.nodes[node].ws_url(path, token=token)), path


async def test_token_is_valid_from_nbf_and_iat_minus_leeway(cluster: Cluster) -> None:
    now = int(time.time())
    for node in range(2):
        url = cluster.nodes[node].ws_url("/channels/echo")
        for claim in ("nbf", "iat"):
            for ahead_s, is_good in ((LEEWAY_S - 10, True), (LEEWAY_S + 60, False)):
                token = by_secret(**{claim: now + ahead_s})
                assert (await http_status(cluster, node, token) == 200) == is_good, (claim, ahead_s)
                assert await opens(f"{url}?token={token}") == is_good, (claim, ahead_s)


async def test_ticket_expires_with_its_token(cluster: Cluster) -> None:
    token = by_secret(exp=int(time.time()) - LEEWAY_S + 4)
    async with httpx.AsyncClient(base_url=cluster.nodes[0].url, trust_env=False) as http:
        links = [
            (await http.get("/echo_ws", headers={"Authorization": f"Bearer {token}"})).json()["url"] for _ in range(2)
        ]
        assert await opens(links[0])
        async with asyncio.timeout(20):
            while await http_status(cluster, 0, token) == 200:
                await asyncio.sleep(0.2)
    assert not await opens(links[1])


async def test_refresh_token_of_any_spelling_is_rejected(cluster: Cluster) -> None:
    for node in range(2):
        for kind in ("refresh-token", "RefreshToken", "refresh+jwt", "Offline", "id-token"):
            token = by_secret(token_type=kind)
            assert await http_status(cluster, node, token) == 401, kind
            assert not await opens(cluster.nodes[node].ws_url("/channels/echo", token=token)), kind
