"""Event streams of clients that mean no good, and the ends that a session can have."""

import asyncio
import socket
import time
from pathlib import Path

import httpx
import pytest

from auth.tokens.access_tokens import Issuer, TokenNames
from auth.tokens.jws import LEEWAY_S
from tests.support.cluster import Cluster, User, run_cluster
from tests.support.event_stream import event_stream
from tests.support.waiting import eventually

KEY = {"X-Service-Key": "u9Yq2mTz7cKp4vXw8bNr"}
SETTINGS = {"SERVICE_KEYS": f"backend:{KEY['X-Service-Key']}", "DRAIN_S": 2}


def stalled(cluster: Cluster, user: User, chat_id: int) -> socket.socket:
    """A stream that nobody reads, with a small buffer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", cluster.nodes[0].port))
    head = f"GET /sse/stalled?chats={chat_id} HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {user.token}\r\n\r\n"
    client.sendall(head.encode())
    return client


def metric(cluster: Cluster, name: str) -> float:
    """A sample of the first node."""
    lines = httpx.get(f"{cluster.nodes[0].url}/metrics", headers=KEY).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def until(cluster: Cluster, name: str, value: float, within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while metric(cluster, name) != value:
            await asyncio.sleep(0.1)


async def test_stream_that_is_never_read_is_ended(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, **SETTINGS) as cluster:
        ann, bob = await cluster.user("ann"), await cluster.user("bob")
        chat, url = await cluster.chat(ann, bob), cluster.nodes[0].url
        client = stalled(cluster, ann, chat)
        await until(cluster, 'chat_gateway_connections{dialect="sse"}', 1)
        async with (
            event_stream(f"{url}/sse/reader", bob.token, chats=chat) as other,
            httpx.AsyncClient(base_url=url, headers=KEY) as http,
        ):
            await other.next("ack")
            for number in range(400):
                data = {"data": {"n": number, "text": "x" * 60_000}}
                await http.post(f"/api/v1/users/{ann.id}/send", json=data)
                if metric(cluster, "chat_gateway_slow_consumers_total") and number > 20:
                    break
            await until(cluster, 'chat_gateway_closes_total{code="4001"}', 1)
            await http.post(
                f"/api/v1/chats/{chat}/messages", json={"text": "on"}, headers={"X-On-Behalf-Of": str(ann.id)}
            )
            assert (await other.next("message"))["data"]["text"] == "on"
        client.close()
        await until(cluster, 'chat_gateway_connections{dialect="sse"}', 0)
        assert metric(cluster, "chat_gateway_outbox_bytes") == 0
        assert "Traceback" not in cluster.nodes[0].log


async def test_streams_have_the_limits_of_sockets(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, MAX_CONNECTIONS_PER_USER=2, **SETTINGS) as cluster:
        ann = await cluster.user("ann")
        url = f"{cluster.nodes[0].url}/sse/me"
        async with event_stream(url, ann.token), event_stream(url, ann.token):
            answer = httpx.get(url, headers=ann.headers)
            assert (answer.status_code, answer.json()["code"]) == (429, "too_many_connections")
            async with event_stream(url, ann.token) as stream:  # as a browser: any other status would end it
                assert await stream.end() == {"code": 4003, "reason": '{"retry_after_ms":10000}'}
                assert stream.retry_ms == 10_000 and stream.events == []
        await until(cluster, 'chat_gateway_connections{dialect="sse"}', 0)
        async with event_stream(url, ann.token) as stream:
            assert stream.closed is None


async def test_client_that_leaves_early_frees_its_place(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, MAX_CONNECTIONS_PER_USER=5, **SETTINGS) as cluster:
        ann = await cluster.user("ann")
        chat = await cluster.chat(ann)
        for _ in range(30):
            stalled(cluster, ann, chat).close()
        has_place = False
        async with asyncio.timeout(20):  # some may not have been noticed yet
            while not has_place:
                async with event_stream(f"{cluster.nodes[0].url}/sse/me", ann.token, chats=chat) as stream:
                    await eventually(lambda s=stream: bool(s.events or s.closed))
                    has_place = stream.closed is None
        assert "Traceback" not in cluster.nodes[0].log


@pytest.mark.parametrize("end", ["ban", "revoke", "disconnect"])
async def test_session_ends_as_on_a_socket(tmp_path: Path, redis_url: str, sqlite_url: str, end: str) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=2, **SETTINGS) as cluster:
        ann = await cluster.user("ann")
        async with event_stream(f"{cluster.nodes[0].url}/sse/me", ann.token) as stream:
            await asyncio.sleep(1.1)  # `iat` has whole seconds
            method, body = ("PUT", {}) if end == "ban" else ("POST", {})
            started = time.monotonic()
            httpx.request(
                method, f"{cluster.nodes[1].url}/api/v1/users/{ann.id}/{end}", headers=KEY, json=body
            ).raise_for_status()
            closed = await stream.end()
            assert closed is not None and closed["code"] == {"ban": 4408, "revoke": 4401, "disconnect": 4403}[end]
            assert time.monotonic() - started < 5
        status = httpx.head(f"{cluster.nodes[0].url}/sse/me", headers=ann.headers).status_code
        assert status == {"ban": 403, "revoke": 401, "disconnect": 200}[end]


async def test_stream_ends_with_its_token(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, **SETTINGS) as cluster:
        ann = await cluster.user("ann")
        issuer = Issuer(TokenNames(), 2 - LEEWAY_S)
        token = issuer.issue(await cluster.keys.signing_key(), ann.id, ann.person.username)
        async with event_stream(f"{cluster.nodes[0].url}/sse/me", token, refresh=1) as stream:
            closed = await stream.end()
            assert closed is not None and closed["code"] == 4401
