"""A newer token on an open socket, in every dialect that has commands, and the warning before a token expires."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from auth.tokens.access_tokens import Issuer, TokenNames
from auth.tokens.jws import LEEWAY_S
from gateway.node.evictions import EXPIRY_INTERVAL_S
from storage.records import ChatKind
from tests.support.cluster import Cluster, User, run_cluster

LATE_S = 5.0
FAMILIES = ("chat", "service", "support", "native", "public")


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, database_url, SECOND_CONNECTION="allow") as cluster:
        yield cluster


async def token_of(cluster: Cluster, user: User, left_s: int) -> str:
    """A token whose sockets are closed in so many seconds."""
    issuer = Issuer(TokenNames(), left_s - LEEWAY_S)
    return issuer.issue(await cluster.keys.signing_key(), user.id, user.person.username)


async def opened(
    cluster: Cluster, family: str, user: User, other: User, token: str, **query: object
) -> ClientConnection:
    chat_id = 0
    if family in ("chat", "service", "support"):
        kind = {"chat": ChatKind.GROUP, "service": ChatKind.SERVICE, "support": ChatKind.SUPPORT}[family]
        chat_id = await cluster.chat(user, other, kind=kind)
    path = {
        "chat": f"/ws/chat/{chat_id}/",
        "service": f"/ws/service-chats/{chat_id}",
        "support": f"/ws/support-chats/{chat_id}",
        "native": "/ws/phone",
        "public": "/channels/public",
    }[family]
    return await connect(cluster.nodes[0].ws_url(path, token=token, **query), proxy=None)


async def until_type(socket: ClientConnection, *kinds: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            frame: dict[str, Any] = json.loads(await socket.recv())
            if frame["type"] in kinds:
                return frame


async def refresh(socket: ClientConnection, token: str) -> dict[str, Any]:
    await socket.send(json.dumps({"type": "refresh", "token": token}))
    return await until_type(socket, "refreshed", "error")


@pytest.mark.parametrize("family", FAMILIES)
async def test_refreshed_socket_outlives_its_first_token(cluster: Cluster, family: str) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    left_s = 6
    ends = time.time() + left_s
    socket, control = [
        await opened(cluster, family, ann, bob, await token_of(cluster, ann, left_s), refresh=1) for _ in range(2)
    ]
    assert (await until_type(control, "token_expiring"))["expires_in_s"] <= left_s
    foreign = await refresh(socket, bob.token)
    assert (foreign["type"], foreign["code"]) == ("error", "forbidden")
    assert (await refresh(socket, ann.token))["code"] == "rate_limited"
    await asyncio.sleep(1)
    assert (await refresh(socket, "not a token"))["code"] == "forbidden"
    await asyncio.sleep(1)
    assert (await refresh(socket, ann.token))["type"] == "refreshed"
    async with asyncio.timeout(ends - time.time() + EXPIRY_INTERVAL_S + LATE_S):
        await control.wait_closed()
    assert control.close_code == 4401
    await socket.send('{"type": "ping"}')
    await until_type(socket, "pong")
    await socket.close()


async def test_client_that_did_not_ask_gets_no_warning(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    quiet, hello = [await opened(cluster, "native", ann, bob, await token_of(cluster, ann, 6)) for _ in range(2)]
    await hello.send('{"type": "hello", "refresh": true}')
    await until_type(hello, "token_expiring")
    kinds = []
    with pytest.raises(ConnectionClosed):
        while True:
            kinds.append(json.loads(await quiet.recv())["type"])
    assert "token_expiring" not in kinds
    assert quiet.close_code == 4401


async def test_anonymous_client_cannot_become_a_user(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    async with connect(cluster.nodes[0].ws_url("/ws/phone"), proxy=None) as socket:
        assert (await refresh(socket, ann.token))["code"] == "forbidden"
