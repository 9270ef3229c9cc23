"""Seed 003's echo channel over two nodes: links, frames, history, and the effects of a kill."""

import asyncio
import base64
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from auth.tokens.access_tokens import Issuer, TokenNames
from auth.tokens.jws import LEEWAY_S
from tests.gateway.echo_server import everything
from tests.support.cluster import Cluster, GatewayNode, User, run_cluster
from tests.support.servers import PostgresServer

ECHO = "/channels/echo"


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, database_url) as cluster:
        yield cluster


def url(node: GatewayNode, path: str = ECHO) -> str:
    return f"ws://127.0.0.1:{node.port}{path}"


async def open_echo(node: GatewayNode, user: User, path: str = ECHO, **options: Any) -> ClientConnection:
    return await connect(url(node, path), additional_headers=user.headers, proxy=None, **options)


async def say(client: ClientConnection, message: str | bytes) -> str | bytes:
    await client.send(message)
    async with asyncio.timeout(10):
        return await client.recv()


async def history(node: GatewayNode, user: User, **query: int) -> list[dict[str, Any]]:
    """All of it, page by page."""
    messages: list[dict[str, Any]] = []
    async with httpx.AsyncClient(base_url=node.url, headers=user.headers, trust_env=False) as http:
        while True:
            answer = await http.get("/history", params=query)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            messages += page["messages"]
            if page["next"] is None:
                return messages
            query["after"] = page["next"]


async def test_echo_is_verbatim_and_in_history_of_every_node(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    for node, path in zip(cluster.nodes, (ECHO, ECHO + "/"), strict=True):
        client = await open_echo(node, ann, path)
        for message in ('{"type": "message"}', "Привет", b"\x00\xff"):
            assert await say(client, message) == message
        await client.close()
        assert [message async for message in client] == [], "nothing else is ever sent"
    left, right = [await history(node, ann) for node in cluster.nodes]
    assert left == right
    assert [(m["direction"], m["text"], m["encoding"]) for m in left[:4]] == [
        ("in", '{"type": "message"}', "utf-8"),
        ("out", '{"type": "message"}', "utf-8"),
        ("in", "Привет", "utf-8"),
        ("out", "Привет", "utf-8"),
    ]
    assert base64.b64decode(left[5]["text"]) == b"\x00\xff" and left[5]["encoding"] == "base64"
    assert len({m["session_id"] for m in left}) == 2
    assert [m["id"] for m in left] == sorted({m["id"] for m in left})
    assert all(m["created_at"].endswith("Z") for m in left)
    assert await history(cluster.nodes[0], ann, limit=5) == left
    assert await history(cluster.nodes[0], bob) == []


async def test_missing_token_gets_neither_echo_nor_history(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    for query in ("", "?token=nonsense"):
        with pytest.raises(InvalidStatus) as refusal:
            await connect(url(node) + query, proxy=None)
        assert refusal.value.response.status_code == 401
        assert httpx.get(f"{node.url}/history{query}", trust_env=False).status_code == 401
        browser = await connect(url(node) + query, origin=Origin(node.url), proxy=None)
        async with asyncio.timeout(10):
            await browser.wait_closed()
        assert browser.close_code == 4401


async def test_invalid_history_page_is_rejected(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    for query in ("limit=0", "limit=201", "limit=x", "after=-1", "after=x", "after=1&after=2"):
        answer = httpx.get(f"{cluster.nodes[0].url}/history?{query}", headers=ann.headers, trust_env=False)
        assert answer.status_code == 422 and answer.json()["code"] == "invalid_field", query


async def test_killed_node_leaves_complete_history_on_other_node(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    doomed, other = cluster.nodes
    client = await open_echo(doomed, ann)
    seen: list[str | bytes] = []

    async def talk() -> None:
        for n in range(100_000):
            await client.send(f"{n} {os.urandom(8).hex()}")

    async def listen() -> None:
        async for message in client:
            seen.append(message)
            if len(seen) == 300:
                doomed.kill()

    talking = asyncio.create_task(talk())
    with pytest.raises(ConnectionClosed):
        async with asyncio.timeout(60):
            await listen()
    await asyncio.gather(talking, return_exceptions=True)
    stored = await history(other, ann)
    assert len(seen) >= 300
    assert [m["text"] for m in stored if m["direction"] == "out"][: len(seen)] == seen
    assert [m["text"] for m in stored if m["direction"] == "in"][: len(seen)] == seen


async def test_drain_closes_echo_with_a_reconnect_delay(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    node = cluster.nodes[0]
    client = await open_echo(node, ann)
    assert await say(client, "before") == "before"
    os.kill(node.pid, signal.SIGTERM)
    async with asyncio.timeout(20):
        await client.wait_closed()
    assert client.close_code == 4000
    assert "retry_after_ms" in (client.close_reason or "")


async def test_expired_token_closes_echo(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1) as cluster:
        ann = await cluster.user("ann")
        short = Issuer(TokenNames(), lifetime_s=2 - LEEWAY_S)
        ann.token = short.issue(await cluster.keys.signing_key(), ann.id, ann.person.username)
        client = await open_echo(cluster.nodes[0], ann)
        assert await say(client, "in time") == "in time"
        async with asyncio.timeout(10):
            await client.wait_closed()
        assert (client.close_code, client.close_reason) == (4401, "the token has expired")


async def test_echo_without_database_closes_without_response(
    tmp_path: Path, redis_url: str, postgres_url: str, postgres_server: PostgresServer
) -> None:
    async with run_cluster(tmp_path, redis_url, postgres_url, nodes=1) as cluster:
        node, ann = cluster.nodes[0], await cluster.user("ann")
        client = await open_echo(node, ann)
        assert await say(client, "before") == "before"
        postgres_server.kill()
        try:
            await client.send("meanwhile")
            async with asyncio.timeout(15):
                with pytest.raises(ConnectionClosed):
                    await client.recv()
            assert (client.close_code, client.close_reason) == (4003, "the transcript could not be stored")
        finally:
            postgres_server.start()
        async with asyncio.timeout(20):
            while httpx.get(f"{node.url}/history", headers=ann.headers, trust_env=False).status_code != 200:
                await asyncio.sleep(0.1)
        assert [m["text"] for m in await history(node, ann)] == ["before"] * 2
        again = await open_echo(node, ann)
        assert await say(again, "after") == "after"


async def test_proxied_echo_history_survives_node_kill(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    async def upstream(connection: ServerConnection) -> None:
        await connection.send("Request served by a test")
        async for message in connection:
            await connection.send(message)

    async with serve(upstream, "127.0.0.1", 0) as server:
        there = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        async with run_cluster(
            tmp_path, redis_url, sqlite_url, IS_PROXY=True, ECHO_PROXY_URL=there, NO_PROXY="127.0.0.1"
        ) as cluster:
            doomed, other = cluster.nodes
            ann = await cluster.user("ann")
            client = await open_echo(doomed, ann)
            seen = [await asyncio.wait_for(client.recv(), 10)]
            seen += [await say(client, text) for text in ("one", "two", "three")]
            await client.send("four")
            doomed.kill()
            seen += await everything(client)
            stored = await history(other, ann)
            assert seen[:4] == ["Request served by a test", "one", "two", "three"]
            assert [m["text"] for m in stored if m["direction"] == "out"][: len(seen)] == seen
            assert [m["text"] for m in stored if m["direction"] == "in"][:3] == ["one", "two", "three"]
            await server_closes(server)
            late = await open_echo(other, ann)
            async with asyncio.timeout(10):
                await late.wait_closed()
            assert (late.close_code, late.close_reason) == (4004, "upstream unreachable")


async def server_closes(server: Server) -> None:
    server.close()
    async with asyncio.timeout(10):
        await server.wait_closed()


async def test_user_stores_no_more_than_an_hour_allows(tmp_path: Path, redis_url: str, database_url: str) -> None:
    hour, session, line = 256 * 1024, 100 * 1024, 256
    limits = {"ECHO_KB_PER_HOUR": hour // 1024, "ECHO_TRANSCRIPT_KB": session // 1024}
    async with run_cluster(tmp_path / "limited", redis_url, database_url, **limits) as cluster:
        ann, bob = await cluster.user("ann"), await cluster.user("bob")
        ends = []
        for number in range(4):
            client = await open_echo(cluster.nodes[number % 2], ann)
            for _ in range(60):
                await client.send("x" * 1000 if number < 3 else "")  # an empty message is the least that fits
            await everything(client)
            ends.append((client.close_code, str(client.close_reason).split(" transcript")[0]))
        assert ends == [(4413, "this session's")] * 2 + [(4413, "the user's")] * 2
        with pytest.raises(InvalidStatus) as rejected:
            await open_echo(cluster.nodes[0], ann)
        assert rejected.value.response.status_code == 429
        assert int(rejected.value.response.headers["Retry-After"]) > 0
        assert b"quota_exceeded" in (rejected.value.response.body or b"")
        page = await open_echo(cluster.nodes[1], ann, origin=Origin(cluster.nodes[1].url))
        assert await everything(page) == []
        assert page.close_code == 4413
        lines = await history(cluster.nodes[0], ann)
        stored = sum(len(each["text"]) + line for each in lines)
        assert hour - 1024 <= stored <= hour + 10_000, "it refills by 73 bytes a second"
        other = await open_echo(cluster.nodes[0], bob)
        assert await say(other, "hi") == "hi"
