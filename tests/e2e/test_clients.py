"""The registry of connected client_ids and pushes from services, over two nodes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.redis.presence.lease import LEASE_S
from tests.support.cluster import Cluster, User, run_cluster
from tests.support.native_client import NativeClient, native
from tests.support.servers import RedisServer
from tests.support.waiting import eventually_async

KEY = "a service key of this test"
HEADERS = {"X-Service-Key": KEY}


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, sqlite_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, sqlite_url, SERVICE_KEYS=KEY) as cluster:
        yield cluster


async def clients_of(cluster: Cluster, user: User, node: int = 0) -> list[dict[str, Any]]:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{cluster.nodes[node].url}/api/v1/users/{user.id}/clients", headers=HEADERS)
        assert answer.status_code == 200, answer.text
        clients: list[dict[str, Any]] = answer.json()["clients"]
        return clients


async def send(cluster: Cluster, path: str, data: object = "hi", node: int = 0, **owner: int | None) -> int:
    async with httpx.AsyncClient() as http:
        url = f"{cluster.nodes[node].url}/api/v1{path}/send"
        answer = await http.post(url, json={"data": data, **owner}, headers=HEADERS)
        assert answer.status_code == 202, answer.text
        sockets: int = answer.json()["sockets"]
        return sockets


async def until_known(cluster: Cluster, user: User, *client_ids: str, timeout_s: float = 10) -> list[dict[str, Any]]:
    """The user's clients once they are these."""

    async def are_known() -> bool:
        try:
            known = await clients_of(cluster, user)
        except AssertionError:  # 503 while Redis is away
            return False
        return sorted(client["client_id"] for client in known) == sorted(client_ids)

    await eventually_async(are_known, timeout_s)
    return await clients_of(cluster, user)


async def test_connected_clients_of_user_are_listed_on_every_node(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    assert await clients_of(cluster, ann) == []
    phone, laptop = await native(cluster, 0, ann, client_id="phone"), await native(cluster, 1, ann, client_id="laptop")
    await native(cluster, 1, ann, client_id="laptop")
    await native(cluster, 0, bob, client_id="phone")
    await native(cluster, 0, client_id="phone")
    known = await until_known(cluster, ann, "phone", "laptop", "laptop")
    assert await clients_of(cluster, ann, node=1) == known
    nodes = {client["client_id"]: client["node"] for client in known}
    assert nodes["phone"] != nodes["laptop"]
    assert set(known[0]) == {"client_id", "node", "connected_at"} and known[0]["connected_at"].endswith("Z")
    await phone.close()
    await until_known(cluster, ann, "laptop", "laptop")
    await laptop.close()
    await until_known(cluster, ann, "laptop")


async def test_direct_push_reaches_client_on_any_node(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    here, there = await native(cluster, 0, ann, client_id="here/1\n"), await native(cluster, 1, ann, client_id="there")
    other = await native(cluster, 1, bob, client_id="other")
    await until_known(cluster, ann, "here/1\n", "there")
    await until_known(cluster, bob, "other")
    data = {"any": ["JSON", 1.5, None, {"я": True}]}
    assert await send(cluster, f"/users/{ann.id}", data) == 2
    for client in (here, there):
        assert await client.next("direct") == {"type": "direct", "data": data}
    assert await send(cluster, "/clients/there", [1]) == 1
    assert await there.next("direct") == {"type": "direct", "data": [1]}
    assert await send(cluster, "/clients/here%2F1%0A", None, node=1) == 1
    assert await here.next("direct") == {"type": "direct", "data": None}
    assert await send(cluster, "/clients/nobody") == await send(cluster, "/users/999999") == 0
    await other.ask("ping")
    assert other.of_type("direct") == []


async def test_push_to_client_id_reaches_sockets_of_its_owner_only(cluster: Cluster) -> None:
    ann, eve = await cluster.user("ann"), await cluster.user("eve")
    owner, squatter = await native(cluster, 0, ann, client_id="phone"), await native(cluster, 0, client_id="phone")
    await native(cluster, 1, client_id="phone")
    await until_known(cluster, ann, "phone")
    assert await send(cluster, "/clients/phone", "for ann", node=1) == 1
    assert await owner.next("direct") == {"type": "direct", "data": "for ann"}
    impostor = await native(cluster, 1, eve, client_id="phone")
    await until_known(cluster, eve, "phone")
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{cluster.nodes[0].url}/api/v1/clients/phone/send", json={"data": 1}, headers=HEADERS)
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert await send(cluster, "/clients/phone", "again", user_id=ann.id) == 1
    assert await owner.next("direct") == {"type": "direct", "data": "again"}
    assert await send(cluster, "/clients/phone", "anyone", user_id=None) == 2
    assert await squatter.next("direct") == {"type": "direct", "data": "anyone"}
    await owner.close()
    await until_known(cluster, ann)
    assert await send(cluster, "/clients/phone", "late", user_id=ann.id) == 0
    for other in (squatter, impostor):
        await other.ask("ping")
    assert [push["data"] for push in squatter.of_type("direct")] == ["anyone"]
    assert impostor.of_type("direct") == []


async def test_send_api_needs_service_key_and_reports_errors(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    url = cluster.nodes[0].url + "/api/v1"
    async with httpx.AsyncClient() as http:
        for headers in ({}, {"X-Service-Key": "wrong"}, ann.headers):
            assert (await http.get(f"{url}/users/{ann.id}/clients", headers=headers)).status_code == 403
            for path in (f"/users/{ann.id}/send", "/clients/a/send"):
                assert (await http.post(url + path, json={"data": 1}, headers=headers)).status_code == 403
        bad: list[tuple[bytes, int]] = [
            (b"{}", 422),
            (b"nonsense", 400),
            (b'{"data":nope}', 400),
            (b'{"data":"\\ud800"}', 422),
            (b'{"data":"\xff"}', 400),
            (b'{"data":' + b"[" * 3000 + b"]" * 3000 + b"}", 400),
            (b'{"data":"' + b"x" * 65_536 + b'"}', 413),
        ]
        for body, status in bad:
            headers = HEADERS | {"Content-Type": "application/json"}
            answer = await http.post(f"{url}/users/{ann.id}/send", content=body, headers=headers)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), body
        for path in ("/clients//send", "/clients/a/b/send", f"/clients/{'x' * 256}/send", "/users/0/send"):
            assert (await http.post(url + path, json={"data": 1}, headers=HEADERS)).status_code == 404


async def test_clients_of_dead_node_disappear_within_its_lease(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    await native(cluster, 0, ann, client_id="here")
    await native(cluster, 1, ann, client_id="there")
    await until_known(cluster, ann, "here", "there")
    cluster.nodes[1].kill()
    await until_known(cluster, ann, "here", timeout_s=LEASE_S + 3)
    assert await send(cluster, f"/users/{ann.id}") == 1


async def test_client_registry_is_restored_after_redis_data_loss(cluster: Cluster, redis_server: RedisServer) -> None:
    ann = await cluster.user("ann")
    clients = [await native(cluster, node, ann, client_id=f"c{node}") for node in (0, 1)]
    await until_known(cluster, ann, "c0", "c1")
    redis_server.restart()
    await until_known(cluster, ann, "c0", "c1", timeout_s=30)
    assert await send(cluster, f"/users/{ann.id}") == 2
    for client in clients:
        await client.next("direct")


async def test_sockets_with_same_client_id_share_one_entry(cluster: Cluster) -> None:
    bearers: list[NativeClient] = await asyncio.gather(*(native(cluster, n % 2, client_id="one") for n in range(60)))

    async def are_counted() -> bool:
        return await send(cluster, "/clients/one", "count", user_id=None) == 60

    await eventually_async(are_counted)
    for bearer in bearers:
        await bearer.next("direct")
