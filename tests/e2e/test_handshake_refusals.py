"""Every response to a handshake is the same over the direct routes as over Starlette's router and middleware.

A URL with an encoded character is routed by Starlette, and means the same.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from gateway.protocol.codes import Close
from storage.records import ChatKind
from tests.gateway.transport.wire import RawClient, close, handshake
from tests.support.cluster import Cluster, run_cluster

HOST = "chat.example"
ORIGIN = f"Origin: https://{HOST}"
VARYING = re.compile(rb"(?im)^(date|x-request-id|retry-after|sec-websocket-accept): [^\r\n]+|[0-9a-f]{32}")


@pytest.fixture
async def cluster(redis_url: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    settings = {
        "APP_ENV": "production",
        "PUBLIC_URL": f"https://{HOST}",
        "ALLOW_GUESTS": "true",
        "SECOND_CONNECTION": "reject",
        "MAX_CONNECTIONS_PER_USER": 1,
        "HANDSHAKES_PER_MINUTE_PER_ADDRESS": 60,
        "TRUSTED_PROXIES": "127.0.0.1",
    }
    async with run_cluster(tmp_path, redis_url, f"sqlite://{tmp_path}/chat.db", nodes=1, **settings) as running:
        yield running


async def response(cluster: Cluster, path: str, *headers: str) -> bytes:
    """All that the node sends until it closes, without what differs between equal responses."""
    async with await RawClient.connect(cluster.nodes[0].port) as client:
        await client.send(handshake(path, *headers, host=HOST))
        head = await client.answer()
        if head.startswith(b"HTTP/1.1 101"):
            head += await client.reader.readexactly(2)
            await client.send(close(1000))
        return VARYING.sub(b"", head + await client.reader.read())


async def both(cluster: Cluster, path: str, *headers: str, at_once: bool = False) -> bytes:
    """The response over both ways, which is the same."""
    place, _, query = path.partition("?")
    at = len(place.rstrip("/")) - 1
    encoded = f"{place[:at]}%{ord(place[at]):02X}{place[at + 1 :]}" + (f"?{query}" if query else "")
    if at_once:
        found, other = await asyncio.gather(*(response(cluster, one, *headers) for one in (path, encoded)))
    else:
        found, other = [await response(cluster, one, *headers) for one in (path, encoded)]
    assert other == found
    return found


async def test_each_refusal_is_the_same_over_both_ways(cluster: Cluster) -> None:
    ann, bob, eve = [await cluster.user(name) for name in ("ann", "bob", "eve")]
    chat, service = await cluster.chat(ann, bob), await cluster.chat(ann, bob, kind=ChatKind.SERVICE)
    guest = await cluster.guest_token("gus", "room-1")
    mine = f"Authorization: Bearer {ann.token}"
    families = [
        f"/ws/chat/{chat}/",
        f"/ws/chat/{chat}",
        f"/ws/service-chats/{service}/",
        f"/ws/support-chats/{service}",
        "/channels/echo",
        "/channels/public/",
        "/updates/room-1",
    ]
    for number, path in enumerate(families):
        via = f"X-Forwarded-For: 192.0.2.{number}"
        assert b"401 Unauthorized" in await both(cluster, path, via)
        assert b"401 Unauthorized" in await both(cluster, path, via, "Authorization: Bearer x.y.z")
        assert b"400 Bad Request" in await both(cluster, f"{path}?token=other", via, mine)
        assert b"403 Forbidden" in await both(cluster, path, via, mine, "Origin: https://evil.example")
        browser = await both(cluster, path, via, ORIGIN, "Sec-WebSocket-Protocol: bearer, x.y.z")
        assert b"101 Switching Protocols" in browser
        assert b"\r\nsec-websocket-protocol: bearer" in browser.lower()
        assert b"x-gateway-node: " in browser.lower()
        assert int(Close.UNAUTHORIZED).to_bytes(2) in browser, "the close code"
    via = "X-Forwarded-For: 192.0.2.100"
    refused = await both(cluster, f"/ws/chat/{chat}/", via, f"Authorization: Bearer {eve.token}")
    assert b"403 Forbidden" in refused
    assert b"strict-transport-security" in refused.lower()
    assert b"x-gateway-node: " in refused.lower()
    for path in (f"/ws/chat/{chat}9/", "/ws/chat/x/", f"/ws/support-chats/{service}", f"/ws/service-chats/{chat}"):
        assert b"403 Forbidden" in await both(cluster, path, via, mine)
    assert b"403 Forbidden" in await both(cluster, "/updates/room-2", via, f"Authorization: Bearer {guest}")
    assert b"404 Not Found" in await both(cluster, f"/ws/{'x' * 300}", via, mine)
    assert b"404 Not Found" in await both(cluster, "/ws/other/5", via, mine)
    assert b"403 Forbidden" in await both(cluster, "/ws/phone", via, "Origin: https://evil.example")
    url = cluster.nodes[0].ws_url("/ws/phone", token=bob.token)
    async with connect(url, proxy=None, additional_headers={"X-Forwarded-For": "192.0.2.101"}):
        many = await both(cluster, f"/ws/chat/{chat}/", via, f"Authorization: Bearer {bob.token}")
        assert b"429 Too Many Requests" in many
        assert b"too_many_connections" in many


async def test_too_fast_or_second_handshake_is_refused_alike(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann, await cluster.user("bob"))
    path, token = f"/ws/chat/{chat}/", f"Authorization: Bearer {ann.token}"
    via = "X-Forwarded-For: 192.0.2.1"
    async with await cluster.connect(0, chat, ann) as socket:
        await socket.next("connection_established")
        assert b"429 Too Many Requests" in await both(cluster, path, via, token)
    via = "X-Forwarded-For: 192.0.2.2"

    async def both_too_fast(*headers: str) -> bytes:
        while b"too_many_handshakes" not in await response(cluster, path, via):
            pass
        # at once: a second refusal comes a second later, when the bucket has refilled
        return await both(cluster, path, via, *headers, at_once=True)

    assert b"503 Service Unavailable" in await both_too_fast()
    assert int(Close.INTERNAL).to_bytes(2) in await both_too_fast(ORIGIN)
