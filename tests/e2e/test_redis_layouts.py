"""Two nodes over several Redis servers and over a cluster behave as over one Redis."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import connect

from gateway.redis.sharded import shard_of
from tests.support.chat_client import ChatClient
from tests.support.cluster import Cluster, GatewayNode, User, run_cluster
from tests.support.native_client import native
from tests.support.redis_cluster import run_redis_cluster
from tests.support.servers import RedisServer
from tests.support.waiting import eventually_async

KEY = "a service key of this test"
LIMIT = 10
POSITION_CHECK_S = 4.0


@pytest.fixture
async def cluster(layout_url: str, tmp_path: Path, sqlite_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, layout_url, sqlite_url, SERVICE_KEYS=KEY) as cluster:
        yield cluster


@pytest.mark.parametrize("layout_url", ["three", "cluster"], indirect=True)
async def test_two_nodes_work_over_every_redis_layout(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    await every_chat_is_heard_on_both_nodes(cluster, ann, bob)
    await the_newer_connection_wins(cluster, ann)
    await a_limit_counts_over_both(cluster)
    await a_ticket_is_good_once_on_the_other_node(cluster, ann)
    await a_client_is_reached_wherever_it_is(cluster, ann)


async def every_chat_is_heard_on_both_nodes(cluster: Cluster, ann: User, bob: User) -> None:
    async def talk(number: int) -> None:
        chat = await cluster.chat(ann, bob)
        left, right = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
        joined = await left.next("presence")
        assert (joined["user_id"], joined["status"]) == (bob.id, "join")
        started = time.monotonic()
        said = await left.say(f"to you {number}") if number < LIMIT else {"text": "", "seq": 0}
        if number < LIMIT:
            heard = await right.next("message")
            assert (heard["data"]["text"], heard["data"]["seq"]) == (said["text"], 1)
            assert time.monotonic() - started < POSITION_CHECK_S / 2  # by Redis, not by the check
        await right.send(type="typing", is_typing=True)
        assert (await left.next("typing"))["user_id"] == bob.id
        await left.send(type="presence")
        members = (await left.next("presence_state"))["members"]
        assert [member["user_id"] for member in members] == [ann.id, bob.id]
        await right.close()
        assert (await left.next("presence"))["status"] == "leave"

    await asyncio.gather(*(talk(number) for number in range(12)))


async def the_newer_connection_wins(cluster: Cluster, ann: User) -> None:
    for _ in range(5):
        chat = await cluster.chat(ann)
        first = await cluster.enter(0, chat, ann)
        second = await cluster.enter(1, chat, ann)
        assert (await first.closed())[0] == 4409
        await second.send(type="ping")
        await second.next("pong")


async def a_limit_counts_over_both(cluster: Cluster) -> None:
    carl = await cluster.user("carl")
    sockets = [await cluster.enter(node, await cluster.chat(carl), carl) for node in (0, 1)]
    for number in range(LIMIT):
        await sockets[number % 2].say(f"{number}")
    for socket in sockets:
        await socket.send(type="message", text="too much")
        assert (await socket.next("error"))["code"] == "rate_limited"


async def a_ticket_is_good_once_on_the_other_node(cluster: Cluster, ann: User) -> None:
    for _ in range(4):
        async with httpx.AsyncClient(base_url=cluster.nodes[0].url, headers=ann.headers) as http:
            link = (await http.get("/echo_ws")).json()["url"]
        there = cluster.nodes[1].ws_url(urlsplit(link).path) + "?" + urlsplit(link).query
        async with connect(there, proxy=None) as socket:
            await socket.send("echo")
            assert await asyncio.wait_for(socket.recv(), 10) == "echo"
        with pytest.raises(Exception, match="401"):
            await connect(there, proxy=None)


async def a_client_is_reached_wherever_it_is(cluster: Cluster, ann: User) -> None:
    names = [f"client-{number}" for number in range(6)]
    clients = {name: await native(cluster, number % 2, ann, client_id=name) for number, name in enumerate(names)}
    headers = {"X-Service-Key": KEY}
    async with httpx.AsyncClient(base_url=cluster.nodes[0].url, headers=headers) as http:

        async def are_known() -> bool:
            known = (await http.get(f"/api/v1/users/{ann.id}/clients")).json()["clients"]
            return sorted(client["client_id"] for client in known) == names

        await eventually_async(are_known)
        for name, client in clients.items():
            sent = await http.post(f"/api/v1/clients/{name}/send", json={"data": name})
            assert (sent.status_code, sent.json()["sockets"]) == (202, 1)
            assert (await client.next("direct"))["data"] == name


async def heard(clients: list[ChatClient], text: str) -> float:
    """The seconds until all of them have it."""
    started = time.monotonic()
    await asyncio.gather(*(client.next("message", lambda frame: frame["data"]["text"] == text) for client in clients))
    return time.monotonic() - started


async def test_dead_shard_affects_only_its_chats_which_use_the_store(
    tmp_path: Path, redis_servers: list[RedisServer], sqlite_url: str
) -> None:
    url = " ".join(server.url for server in redis_servers)
    async with run_cluster(tmp_path, url, sqlite_url, MESSAGES_PER_MINUTE=0) as cluster:
        ann, bob = await cluster.user("ann"), await cluster.user("bob")
        chats = [await cluster.chat(ann, bob) for _ in range(9)]
        assert {shard_of(chat, 3) for chat in chats} == {0, 1, 2}
        left = {chat: await cluster.enter(0, chat, ann) for chat in chats}
        right = {chat: await cluster.enter(1, chat, bob) for chat in chats}
        redis_servers[1].kill()

        async def is_degraded() -> bool:
            async with httpx.AsyncClient() as http:
                answers = [await http.get(f"{node.url}/readyz") for node in cluster.nodes]
            return [(answer.status_code, answer.json()["status"]) for answer in answers] == [(200, "degraded")] * 2

        await eventually_async(is_degraded)
        others = [chat for chat in chats if shard_of(chat, 3) != 1]
        for chat in others:
            await left[chat].say("quick")
        assert await heard([right[chat] for chat in others], "quick") < POSITION_CHECK_S / 8
        for chat in chats:
            await left[chat].say("all")
        await heard(list(right.values()), "all")
        newcomer = await cluster.enter(0, next(chat for chat in chats if chat not in others), bob)
        await newcomer.say("in, though Redis cannot count me")
        redis_servers[1].start()

        async def is_ready() -> bool:
            async with httpx.AsyncClient() as http:
                answers = [await http.get(f"{node.url}/readyz") for node in cluster.nodes]
            return [answer.json()["status"] for answer in answers] == ["ready"] * 2

        await eventually_async(is_ready)
        for chat in others:
            await left[chat].say("after")
        await heard([right[chat] for chat in others], "after")


async def test_rolling_growth_of_redis_list_delivers_every_message(
    tmp_path: Path, redis_servers: list[RedisServer], sqlite_url: str
) -> None:
    urls = [server.url for server in redis_servers]
    async with run_cluster(tmp_path, ",".join(urls[:2]), sqlite_url, nodes=1) as cluster:
        options = {"REDIS_URL": ",".join(urls), "DATABASE_URL": sqlite_url}
        newer = GatewayNode(tmp_path / "newer", **options)
        try:
            newer.start()
            cluster.nodes = [*cluster.nodes, newer]
            ann, bob = await cluster.user("ann"), await cluster.user("bob")
            chats = [await cluster.chat(ann, bob) for _ in range(9)]
            moved = [chat for chat in chats if shard_of(chat, 2) != shard_of(chat, 3)]
            assert moved
            left = {chat: await cluster.enter(0, chat, ann) for chat in chats}
            right = {chat: await cluster.enter(1, chat, bob) for chat in chats}
            for chat in chats:
                await left[chat].say("from the old")
            assert await heard(list(right.values()), "from the old") < POSITION_CHECK_S * 1.5
            for chat in chats:
                await right[chat].say("from the new")
            assert await heard(list(left.values()), "from the new") < POSITION_CHECK_S * 1.5
        finally:
            newer.kill()


async def test_cluster_failover_loses_no_message(tmp_path: Path, sqlite_url: str) -> None:
    with run_redis_cluster(tmp_path / "redis", replicated=True) as redis_cluster:
        async with run_cluster(tmp_path, redis_cluster.url, sqlite_url, MESSAGES_PER_MINUTE=0) as cluster:
            ann, bob = await cluster.user("ann"), await cluster.user("bob")
            chats = [await cluster.chat(ann, bob) for _ in range(8)]
            left = {chat: await cluster.enter(0, chat, ann) for chat in chats}
            right = {chat: await cluster.enter(1, chat, bob) for chat in chats}
            redis_cluster.masters[0].kill()
            for number in range(20):
                for chat in chats:
                    await left[chat].say(f"{number}")
                await asyncio.sleep(0.1)
            await heard(list(right.values()), "19")
            for client in right.values():
                assert client.seqs == list(range(1, 21))

            async def are_ready() -> bool:
                async with httpx.AsyncClient() as http:
                    answers = [await http.get(f"{node.url}/readyz") for node in cluster.nodes]
                return [answer.json()["status"] for answer in answers] == ["ready"] * 2

            await eventually_async(are_ready)
