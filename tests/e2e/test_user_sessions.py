"""A service ends the sessions of a user: on two nodes, in every URL family, with and without Redis."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from storage.records import ChatKind
from tests.support.chat_client import ChatClient
from tests.support.cluster import Cluster, User, run_cluster
from tests.support.servers import RedisServer

KEY = "a-service-key-of-the-test"
WITHIN_S = 5.0
SERVICE = {"X-Service-Key": KEY}


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path / "nodes", redis_url, database_url, SERVICE_KEYS=KEY) as cluster:
        yield cluster


async def sockets_of(cluster: Cluster, user: User) -> list[ChatClient]:
    """The user's sockets in every URL family, on both nodes."""
    other = await cluster.user()
    group = await cluster.chat(user, other)
    service = await cluster.chat(user, other, kind=ChatKind.SERVICE)
    support = await cluster.chat(user, other, kind=ChatKind.SUPPORT)
    paths = [
        f"/ws/chat/{group}/",
        f"/ws/service-chats/{service}",
        f"/ws/support-chats/{support}",
        "/ws/phone",
        "/channels/public",
        "/channels/echo",
    ]
    return [await cluster.open(number % 2, path, user.token) for number, path in enumerate(paths)]


async def closed(client: ChatClient) -> int | None:
    """The close code, once the socket is closed."""
    await client.socket.wait_closed()
    return client.socket.close_code


async def codes_of(clients: list[ChatClient]) -> set[int | None]:
    async with asyncio.timeout(WITHIN_S + 5):
        return set(await asyncio.gather(*(closed(client) for client in clients)))


def call(cluster: Cluster, method: str, user: User, what: str, body: object = None) -> httpx.Response:
    url = f"{cluster.nodes[1].url}/api/v1/users/{user.id}/{what}"
    return httpx.request(method, url, json=body, headers=SERVICE, timeout=10)


def status_of(cluster: Cluster, node: int, user: User) -> tuple[int, str]:
    answer = httpx.get(f"{cluster.nodes[node].url}/api/v1/chats", headers=user.headers, timeout=10)
    return answer.status_code, answer.json().get("code", "")


async def eventually(cluster: Cluster, user: User, expected: tuple[int, str]) -> None:
    """Both nodes answer the user so, within the bound."""
    async with asyncio.timeout(WITHIN_S):
        for node in (0, 1):
            while status_of(cluster, node, user) != expected:
                await asyncio.sleep(0.02)


async def test_ban_closes_every_socket_and_lifting_it_readmits(cluster: Cluster) -> None:
    user, bystander = await cluster.user(), await cluster.user()
    watching = await cluster.open(0, "/ws/bystander", bystander.token)
    clients = await sockets_of(cluster, user)
    answer = call(cluster, "PUT", user, "ban", {"reason": "spam"})
    assert (answer.status_code, answer.json()["reason"], answer.json()["until"]) == (200, "spam", None)
    started = time.monotonic()
    assert await codes_of(clients) == {4408}
    assert time.monotonic() - started < WITHIN_S
    await eventually(cluster, user, (403, "banned"))
    assert status_of(cluster, 0, bystander)[0] == 200
    await watching.send(type="ping", id=1)
    await watching.next("pong")
    assert call(cluster, "GET", user, "ban").json()["user_id"] == user.id
    assert call(cluster, "DELETE", user, "ban").status_code == 204
    await eventually(cluster, user, (200, ""))
    assert call(cluster, "GET", user, "ban").status_code == 404


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_sessions_and_memberships_end_while_redis_is_down(cluster: Cluster, redis_server: RedisServer) -> None:
    user, banned = await cluster.user(), await cluster.user()
    clients, theirs = await sockets_of(cluster, user), await sockets_of(cluster, banned)
    owner, stays, *removed = [await cluster.user() for _ in range(4)]
    chat = await cluster.chat(owner, stays, *removed)
    members = [await cluster.enter(node, chat, member) for node, member in enumerate(removed)]
    watching = await cluster.enter(1, chat, stays)
    redis_server.kill()
    assert call(cluster, "POST", user, "revoke", {}).status_code == 202
    assert call(cluster, "PUT", banned, "ban", {}).status_code == 200
    started = time.monotonic()
    assert await codes_of(clients) == {4401}
    assert await codes_of(theirs) == {4408}
    assert time.monotonic() - started < WITHIN_S
    await eventually(cluster, user, (401, "unauthorized"))

    started = time.monotonic()
    for member in removed:
        url = f"{cluster.nodes[0].url}/api/v1/chats/{chat}/members/{member.id}"
        assert httpx.delete(url, headers=owner.headers, timeout=10).status_code == 204
    assert await codes_of(members) == {4403}
    assert time.monotonic() - started < WITHIN_S
    await watching.send(type="ping", id=1)
    await watching.next("pong")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_one_token_is_revoked_by_its_jti(cluster: Cluster) -> None:
    user = await cluster.user()
    second = User(user.person, cluster.issuer.issue(await cluster.keys.signing_key(), user.id, user.person.username))
    first_client = await cluster.open(0, "/ws/first", user.token)
    second_client = await cluster.open(0, "/ws/second", second.token)
    jti = jti_of(user.token)
    assert (
        call(cluster, "POST", user, "revoke", {"jti": jti, "issued_before": "2030-01-01T00:00:00Z"}).status_code == 422
    )
    assert call(cluster, "POST", user, "revoke", {"jti": jti}).status_code == 202
    assert await codes_of([first_client]) == {4401}
    await eventually(cluster, user, (401, "unauthorized"))
    assert status_of(cluster, 0, second)[0] == status_of(cluster, 1, second)[0] == 200
    await second_client.send(type="ping", id=1)
    await second_client.next("pong")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_tokens_of_later_login_work_after_revocation(cluster: Cluster) -> None:
    user = await cluster.user()
    assert call(cluster, "POST", user, "revoke", {}).status_code == 202
    await eventually(cluster, user, (401, "unauthorized"))
    await asyncio.sleep(1.0)  # tokens have whole seconds
    later = User(user.person, cluster.issuer.issue(await cluster.keys.signing_key(), user.id, user.person.username))
    assert status_of(cluster, 0, later)[0] == status_of(cluster, 1, later)[0] == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_disconnect_closes_the_named_sockets_on_every_node(cluster: Cluster) -> None:
    user, other = await cluster.user(), await cluster.user()
    chat, second = await cluster.chat(user, other), await cluster.chat(user, other)
    phone, tablet = await cluster.open(0, "/ws/phone", user.token), await cluster.open(1, "/ws/tablet", user.token)
    foreign = await cluster.open(0, "/ws/phone", other.token)
    here, there = await cluster.connect(0, chat, user), await cluster.connect(0, second, user)
    assert call(cluster, "POST", user, "disconnect", {"client_id": "phone"}).status_code == 202
    assert await codes_of([phone]) == {4403}
    assert call(cluster, "POST", user, "disconnect", {"chat_id": chat, "reconnect": True}).status_code == 202
    assert await codes_of([here]) == {4000}
    assert call(cluster, "POST", user, "disconnect", {"reconnect": True}).status_code == 202
    assert await codes_of([tablet, there]) == {4000}
    await foreign.send(type="ping", id=1)
    await foreign.next("pong")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_session_calls_need_an_existing_user_and_a_key(cluster: Cluster) -> None:
    user = await cluster.user()
    url = f"{cluster.nodes[0].url}/api/v1/users/{user.id}"
    for method, what in (("POST", "disconnect"), ("POST", "revoke"), ("PUT", "ban"), ("DELETE", "ban"), ("GET", "ban")):
        answer = httpx.request(method, f"{url}/{what}", json=None if method in {"GET", "DELETE"} else {})
        assert answer.status_code == 403, what
        unknown = f"{cluster.nodes[0].url}/api/v1/users/999999/{what}"
        body = None if method in {"GET", "DELETE"} else {}
        assert httpx.request(method, unknown, json=body, headers=SERVICE).status_code == 404, what
    assert call(cluster, "PUT", user, "ban", {"until": "2020-01-01T00:00:00Z"}).status_code == 422
    assert call(cluster, "PUT", user, "ban", {"until": "1960-01-01T00:00:00Z"}).status_code == 422


def jti_of(token: str) -> str:
    """The jti of a token of ours."""
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"])
