"""Events leave a cluster: signed, in order within a chat, and none is lost when a node is killed."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.cluster import run_cluster
from tests.support.receiver import SECRET, Receiver, run_receiver
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

KEY = "a service key of this test"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with run_receiver() as receiver:
        yield receiver


def settings(receiver: Receiver) -> dict[str, object]:
    hooks = [{"url": receiver.url, "secret": SECRET, "name": "app"}]
    return {"WEBHOOKS": json.dumps(hooks), "WEBHOOK_ALLOW_PRIVATE": "true", "MESSAGES_PER_MINUTE": 0}


async def test_events_leave_both_nodes_signed_and_in_order(
    tmp_path: Path, redis_url: str, database_url: str, receiver: Receiver
) -> None:
    async with run_cluster(tmp_path, redis_url, database_url, **settings(receiver)) as cluster:
        ann, bob = await cluster.user("ann"), await cluster.user("bob")
        chat = await cluster.chat(ann, bob)
        sockets = [await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)]
        for number in range(20):
            await sockets[number % 2].say(f"message {number}")
        await receiver.count(20)
        assert receiver.seqs() == {chat: list(range(1, 21))}
        assert receiver.unsigned == 0


async def test_dead_letters_are_listed_and_replayed(
    tmp_path: Path, redis_url: str, database_url: str, receiver: Receiver
) -> None:
    hooks = [{"url": receiver.url, "secret": SECRET, "name": "app", "give_up_h": 0.0001}]
    options = settings(receiver) | {"WEBHOOKS": json.dumps(hooks), "SERVICE_KEYS": f"ops:{KEY}:admin"}
    receiver.answer = lambda events: 410
    async with (
        run_cluster(tmp_path, redis_url, database_url, **options) as cluster,
        httpx.AsyncClient(headers={"X-Service-Key": KEY}, base_url=cluster.nodes[1].url) as http,
    ):
        ann = await cluster.user("ann")
        chat = await cluster.chat(ann)
        socket = await cluster.enter(0, chat, ann)
        await socket.say("hello")
        async with asyncio.timeout(20):
            while not (letters := (await http.get("/api/v1/webhooks/dead-letters")).json()["dead_letters"]):
                await asyncio.sleep(0.1)
        (letter,) = letters
        shown = (
            letter["webhook"],
            letter["type"],
            letter["chat_id"],
            letter["user_id"],
            letter["seq"],
            letter["error"],
        )
        assert shown == ("app", "message.created", chat, None, 1, "status 410")
        (hook,) = (await http.get("/api/v1/webhooks")).json()["webhooks"]
        assert (hook["name"], hook["dead_letters"], hook["waiting_events"]) == ("app", 1, 0)
        assert f"{letter['id']}: app message.created of chat {chat} seq 1" in _command(
            options, database_url, "dead-letters"
        )
        assert (await http.get("/api/v1/webhooks/dead-letters", params={"webhook": "none"})).json()[
            "dead_letters"
        ] == []
        both = {"ids": [1], "webhook": "app"}
        assert (await http.post("/api/v1/webhooks/dead-letters/replay", json=both)).status_code == 422
        receiver.answer = lambda events: 204
        answer = await http.post("/api/v1/webhooks/dead-letters/replay", json={"webhook": "app"})
        assert answer.json() == {"replayed": 1, "has_more": False}
        await receiver.count(1)
        assert _command(options, database_url, "replay") == "0 events are delivered again.\n"
        assert _command(options, database_url, "dead-letters") == "No dead letters.\n"
        assert _command(options, database_url).startswith("app: 0 events of 0 chats wait")


def _command(options: dict[str, object], database_url: str, *words: str) -> str:
    """What `chat-gateway webhooks` prints, on stderr if it lists nothing."""
    environ = {"APP_ENV": "development", "DATABASE_URL": database_url, "WEBHOOKS": str(options["WEBHOOKS"])}
    command = [sys.executable, "-m", "gateway.cli", "webhooks", *words]
    done = subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, check="drop" not in words)
    return done.stdout or done.stderr


async def test_removed_webhook_is_listed_until_it_is_dropped(
    tmp_path: Path, redis_url: str, database_url: str, receiver: Receiver
) -> None:
    receiver.answer = lambda events: 500
    options = settings(receiver) | {"SERVICE_KEYS": f"ops:{KEY}:admin"}
    headers = {"X-Service-Key": KEY}
    async with (
        run_cluster(tmp_path / "before", redis_url, database_url, nodes=1, **options) as cluster,
        httpx.AsyncClient(headers=headers, base_url=cluster.nodes[0].url) as http,
    ):
        ann = await cluster.user("ann")
        socket = await cluster.enter(0, await cluster.chat(ann), ann)
        await socket.say("hello")
        async with asyncio.timeout(20):
            while (await http.get("/api/v1/webhooks")).json()["webhooks"][0]["failing_chats"] == 0:
                await asyncio.sleep(0.1)
        answer = await http.post("/api/v1/webhooks/drop", json={"webhook": "app"})
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert _command(options, database_url, "drop", "--webhook", "app").startswith("chat-gateway: app is set up.")

    options["WEBHOOKS"] = ""
    async with (
        run_cluster(tmp_path / "after", redis_url, database_url, nodes=1, **options) as cluster,
        httpx.AsyncClient(headers=headers, base_url=cluster.nodes[0].url) as http,
    ):
        (hook,) = (await http.get("/api/v1/webhooks")).json()["webhooks"]
        assert (hook["name"], hook["is_removed"], hook["events"], hook["waiting_events"]) == ("app", True, [], 1)
        assert _command(options, database_url).startswith("app: removed, 1 events of 1 chats wait, 1 of them failing")
        node = cluster.nodes[0]
        await eventually(lambda: "webhooks_removed" in node.log)
        assert "chat_gateway_webhooks_removed 1.0" in (await http.get("/metrics")).text
        answer = await http.post("/api/v1/webhooks/drop", json={"webhook": "app"})
        assert answer.json() == {"dropped": 1, "has_more": False}
        assert (await http.get("/api/v1/webhooks")).json()["webhooks"] == []
        assert (await http.post("/api/v1/webhooks/drop", json={"webhook": "app"})).status_code == 404
    assert "nothing of a webhook app" in _command(options, database_url, "drop", "--webhook", "app")


async def test_private_endpoint_is_refused_by_default(
    tmp_path: Path, redis_url: str, sqlite_url: str, receiver: Receiver
) -> None:
    options = settings(receiver) | {"WEBHOOK_ALLOW_PRIVATE": "false"}
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, **options) as cluster:
        ann = await cluster.user("ann")
        socket = await cluster.enter(0, await cluster.chat(ann), ann)
        await socket.say("hello")
        async with asyncio.timeout(10):
            while "private address" not in cluster.nodes[0].log:
                await asyncio.sleep(0.1)
    assert receiver.seen == []


async def test_message_names_the_absent_members(
    tmp_path: Path, redis_server: RedisServer, database_url: str, receiver: Receiver
) -> None:
    options = settings(receiver) | {"SERVICE_KEYS": KEY}
    async with (
        run_cluster(tmp_path, redis_server.url, database_url, **options) as cluster,
        httpx.AsyncClient(headers={"X-Service-Key": KEY}, base_url=cluster.nodes[0].url) as http,
    ):
        ann, bob, cat, dan = [await cluster.user(name) for name in ("ann", "bob", "cat", "dan")]
        chat = await cluster.chat(ann, bob, cat, dan)
        await cluster.enter(1, chat, bob)
        await cluster.client(1, dan)  # with a multi-chat socket that is not in the chat
        socket = await cluster.enter(0, chat, ann)
        async with asyncio.timeout(20):
            while not (await http.get(f"/api/v1/users/{dan.id}/clients")).json()["clients"]:
                await asyncio.sleep(0.05)
        await socket.say("hello")
        (event,) = await receiver.count(1)
        assert event["data"]["absent"] == [cat.id]
        assert "absent_truncated" not in event["data"]
        alone = await cluster.chat(ann)
        own = await cluster.enter(0, alone, ann)
        redis_server.stop()
        await asyncio.sleep(1.2)  # what was read before counts for a second
        await socket.say("hello again")
        event = (await receiver.count(2))[-1]
        assert event["data"]["absent"] is None
        await own.say("nobody else is here")
        event = (await receiver.count(3))[-1]
        assert event["data"]["absent"] == [], "all members are on this node, which knows so without Redis"


async def test_reactions_are_events_too(tmp_path: Path, redis_url: str, database_url: str, receiver: Receiver) -> None:
    async with run_cluster(tmp_path, redis_url, database_url, nodes=1, **settings(receiver)) as cluster:
        ann = await cluster.user("ann")
        chat = await cluster.chat(ann)
        socket = await cluster.enter(0, chat, ann)
        message = await socket.say("hello")
        await socket.send(type="react", message_id=message["id"], key="like")
        await socket.send(type="react", message_id=message["id"], key="like", remove=True)
        created, added, removed = await receiver.count(3)
    assert [event["type"] for event in (created, added, removed)] == [
        "message.created",
        "reaction.added",
        "reaction.removed",
    ]
    reaction = {"message_id": message["id"], "key": "like", "user_id": ann.id}
    assert added["data"] == reaction | {"removed": False, "counts": {"like": 1}}
    assert removed["data"] == reaction | {"removed": True, "counts": {}}


async def test_members_and_messages_come_in_one_order(
    tmp_path: Path, redis_url: str, database_url: str, receiver: Receiver
) -> None:
    async with (
        run_cluster(tmp_path, redis_url, database_url, nodes=1, **settings(receiver)) as cluster,
        httpx.AsyncClient(base_url=cluster.nodes[0].url) as http,
    ):
        ann, bob = await cluster.user("ann"), await cluster.user("bob")
        body = {"kind": "group", "title": "Plans"}
        made = (await http.post("/api/v1/chats", json=body, headers=ann.headers)).raise_for_status().json()
        chat = made["id"]
        socket = await cluster.enter(0, chat, ann)
        await socket.say("hello")
        body = {"user_id": bob.id}
        (await http.post(f"/api/v1/chats/{chat}/members", json=body, headers=ann.headers)).raise_for_status()
        await socket.say("hello bob")
        url = f"/api/v1/chats/{chat}/members/{bob.id}"
        (await http.request("DELETE", url, headers=ann.headers)).raise_for_status()
        events = await receiver.count(5)
    types = ["chat.created", "message.created", "member.added", "message.created", "member.removed"]
    assert [(event["type"], event["seq"]) for event in events] == list(zip(types, [0, 1, 1, 2, 2], strict=True))
    assert (events[2]["chat_id"], events[2]["data"]["user_id"], events[2]["data"]["by"]) == (chat, bob.id, ann.id)
