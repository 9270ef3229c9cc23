"""Which client_ids are connected where, and what services say to them: over two nodes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.redis.lease import LEASE_S
from tests.cluster import Cluster, User, run_cluster
from tests.gateway.redis.waiting import eventually_async
from tests.native_client import NativeClient, native
from tests.servers import RedisServer

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


async def send(cluster: Cluster, path: str, data: object = "hi", node: int = 0) -> int:
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{cluster.nodes[node].url}/api/v1{path}/send", json={"data": data}, headers=HEADERS)
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


async def test_a_users_clients_are_known_on_every_node_while_they_are_connected(cluster: Cluster) -> None:
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


async def test_what_is_addressed_arrives_wherever_the_client_is(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    here, there = await native(cluster, 0, ann, client_id="here/1\n"), await native(cluster, 1, ann, client_id="there")
    nobody, other = await native(cluster, 1, client_id="there"), await native(cluster, 1, bob, client_id="other")
    await until_known(cluster, ann, "here/1\n", "there")
    await until_known(cluster, bob, "other")
    data = {"any": ["JSON", 1.5, None, {"я": True}]}
    assert await send(cluster, f"/users/{ann.id}", data) == 2
    for client in (here, there):
        assert await client.next("direct") == {"type": "direct", "data": data}
    assert await send(cluster, "/clients/there", [1]) == 2
    for client in (there, nobody):
        assert await client.next("direct") == {"type": "direct", "data": [1]}
    assert await send(cluster, "/clients/here%2F1%0A", None, node=1) == 1
    assert await here.next("direct") == {"type": "direct", "data": None}
    assert await send(cluster, "/clients/nobody") == await send(cluster, "/users/999999") == 0
    await other.ask("ping")
    assert other.of_type("direct") == []


async def test_the_api_is_for_services_alone_and_says_what_is_wrong(cluster: Cluster) -> None:
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
            (b'{"data":"\xff"}', 422),
            (b'{"data":' + b"[" * 3000 + b"]" * 3000 + b"}", 400),
            (b'{"data":"' + b"x" * 65_536 + b'"}', 413),
        ]
        for body, status in bad:
            headers = HEADERS | {"Content-Type": "application/json"}
            answer = await http.post(f"{url}/users/{ann.id}/send", content=body, headers=headers)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), body
        for path in ("/clients//send", "/clients/a/b/send", f"/clients/{'x' * 256}/send", "/users/0/send"):
            assert (await http.post(url + path, json={"data": 1}, headers=HEADERS)).status_code == 404


async def test_a_dead_nodes_clients_are_gone_within_its_lease(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    await native(cluster, 0, ann, client_id="here")
    await native(cluster, 1, ann, client_id="there")
    await until_known(cluster, ann, "here", "there")
    cluster.nodes[1].kill()
    await until_known(cluster, ann, "here", timeout_s=LEASE_S + 3)
    assert await send(cluster, f"/users/{ann.id}") == 1


async def test_the_relation_is_back_after_redis_has_lost_everything(
    cluster: Cluster, redis_server: RedisServer
) -> None:
    ann = await cluster.user("ann")
    clients = [await native(cluster, node, ann, client_id=f"c{node}") for node in (0, 1)]
    await until_known(cluster, ann, "c0", "c1")
    redis_server.restart()
    await until_known(cluster, ann, "c0", "c1", timeout_s=30)
    assert await send(cluster, f"/users/{ann.id}") == 2
    for client in clients:
        await client.next("direct")


async def test_many_bearers_of_one_name_cost_one_entry(cluster: Cluster) -> None:
    bearers: list[NativeClient] = await asyncio.gather(*(native(cluster, n % 2, client_id="one") for n in range(60)))

    async def are_counted() -> bool:
        return await send(cluster, "/clients/one", "count") == 60

    await eventually_async(are_counted)
    for bearer in bearers:
        await bearer.next("direct")
