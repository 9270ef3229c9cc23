"""Sockets with many chats over two nodes, with real Redis and both databases."""

import itertools
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from auth.tokens.access_tokens import Issuer, TokenNames
from auth.tokens.jws import LEEWAY_S
from storage.models import ChatRoom
from storage.records import ChatKind
from tests.support.cluster import Cluster, run_cluster
from tests.support.native_client import NativeClient, native

LIMIT = 40


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, database_url, MESSAGES_PER_MINUTE=LIMIT) as cluster:
        yield cluster


async def test_one_socket_subscribes_to_many_chats(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    one, other = await cluster.chat(ann, bob), await cluster.chat(bob, ann)
    left, right = await native(cluster, 0, ann), await native(cluster, 1, bob)
    for chat in (one, other):
        subscribed = await left.ack("subscribe", chat_id=chat, id=f"s{chat}")
        assert subscribed["chat_id"] == chat and subscribed["result"]["last_seq"] == 0 and subscribed["result"]["epoch"]
    await right.ack("subscribe", chat_id=one)
    assert await left.next("presence") == {
        "type": "presence",
        "chat_id": one,
        "user_id": bob.id,
        "username": bob.person.username,
        "display_name": bob.person.shown_name,
        "status": "join",
    }
    sent = await right.ack("message", chat_id=one, text="hello")
    unsubscribed = await right.ack("message", chat_id=other, text="sending needs no subscription", client_msg_id="m")
    assert (sent["seq"], unsubscribed["seq"], unsubscribed["client_msg_id"]) == (1, 1, "m")
    heard = [await left.next("message"), await left.next("message")]
    assert {(frame["chat_id"], frame["data"]["text"]) for frame in heard} == {
        (one, "hello"),
        (other, "sending needs no subscription"),
    }
    refused = await left.ask("edit_message", chat_id=one, id="edit", message_id=sent["message_id"], text="not mine")
    assert (refused["type"], refused["code"]) == ("error", "forbidden")
    await right.ack("edit_message", chat_id=one, message_id=sent["message_id"], text="hello, ann")
    assert (await left.next("message"))["data"]["text"] == "hello, ann"
    await left.ack("unsubscribe", chat_id=one)
    await right.ack("message", chat_id=one, text="unheard")
    await right.ack("message", chat_id=other, text="heard")
    assert (await left.next("message"))["data"]["text"] == "heard"
    assert "unheard" not in {frame["data"]["text"] for frame in left.of_type("message")}


async def test_every_id_gets_exactly_one_response_under_load(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat, foreign = await cluster.chat(ann, bob), await cluster.chat(bob)
    client, numbers = await native(cluster, 0, ann), itertools.count()
    kinds: list[dict[str, object]] = [
        {"type": "message", "chat_id": chat, "text": "new"},
        {"type": "message", "chat_id": chat, "text": "another"},
        {"type": "message", "chat_id": chat, "text": "third: more than a minute holds"},
        {"type": "message", "chat_id": chat, "text": "same", "client_msg_id": "same"},  # retries, but for one
        {"type": "message", "chat_id": chat, "text": ""},
        {"type": "message", "chat_id": foreign, "text": "not mine"},
        {"type": "subscribe", "chat_id": chat, "since": 0},
        {"type": "unsubscribe", "chat_id": chat},  # at once: the subscription has often not begun yet
        {"type": "subscribe", "chat_id": chat},
        {"type": "edit_message", "chat_id": chat, "message_id": 99_999_999, "text": "no such"},
        {"type": "typing", "chat_id": chat, "is_typing": True},
        {"type": "read_messages", "chat_id": chat, "seq": 1},
        {"type": "history", "chat_id": chat},
        {"type": "presence", "chat_id": chat},
        {"type": "hello", "message": "hi"},
        {"type": "ping"},
        {"type": "no such command"},
    ]
    commands = [kind | {"id": next(numbers)} for _ in range(18) for kind in kinds]  # few enough errors to stay in
    for command in commands:
        await client.send(**command)
    expected = [command["id"] for command in commands]
    await client.until(lambda frames: sum("id" in frame for frame in frames) >= len(expected), timeout_s=30)
    await client.ask("ping", id="the end")
    answered = [frame["id"] for frame in client.frames if "id" in frame and frame["id"] != "the end"]
    assert sorted(answered) == expected
    assert {frame["type"] for frame in client.frames if "id" in frame} == {"ack", "error", "hello", "pong"}
    stored = {frame["seq"] for frame in client.of_type("ack") if "message_id" in frame}
    assert stored == set(range(1, len(stored) + 1)) and len(stored) <= LIMIT
    codes = {frame["code"] for frame in client.of_type("error")}
    assert {"rate_limited", "empty_text", "forbidden", "not_found", "unknown_type"} <= codes
    same = [frame for frame in client.of_type("ack") if frame.get("client_msg_id") == "same"]
    assert len({frame["seq"] for frame in same}) == 1 and sum("duplicate" not in frame for frame in same) == 1


async def test_invalid_id_gets_error_without_id(cluster: Cluster) -> None:
    client = await native(cluster, 0)
    await client.send(type="ping", id=[1])
    error = await client.next("error")
    assert error["code"] == "invalid_field" and "id" not in error
    await client.send_raw("not json")
    assert (await client.next("error"))["code"] == "invalid_json"
    assert await client.ask("ping", id=0) == {"type": "pong", "id": 0}
    assert client.frames[0]["type"] == "error", "there is no greeting"


@pytest.mark.parametrize("token", [None, "nonsense", "expired"])
async def test_anonymous_client_reads_only_public_chats(cluster: Cluster, token: str | None) -> None:
    ann = await cluster.user("ann")
    public, group = await cluster.chat(ann, kind=ChatKind.PUBLIC), await cluster.chat(ann)
    if token == "expired":
        token = Issuer(TokenNames(), -60).issue(await cluster.keys.signing_key(), ann.id, ann.person.username)
    writer, client = await native(cluster, 1, ann), await native(cluster, 0, token=token)
    await writer.ack("message", chat_id=public, text="before")
    hello = await client.ask("hello", id="h", message="Привет, сервер!")
    assert hello.pop("node")
    assert hello == {
        "type": "hello",
        "id": "h",
        "client_id": "a client",
        "user_id": None,
        "authenticated": False,
        "message": "Привет, сервер!",
        "max_text_length": 1000,
    }
    await client.ack("subscribe", chat_id=public, since=0)
    assert (await client.next("message"))["data"]["text"] == "before"
    assert (await client.next("caught_up"))["seq"] == 1
    await writer.ack("message", chat_id=public, text="live")
    assert (await client.next("message"))["data"]["text"] == "live"
    for chat_id in (group, 999_999):
        assert (await client.ask("subscribe", chat_id=chat_id))["code"] == "forbidden"
    refused: list[dict[str, object]] = [
        {"kind": "message", "text": "hi"},
        {"kind": "typing", "is_typing": True},
        {"kind": "read_messages", "seq": 1},
        {"kind": "history"},
        {"kind": "presence"},
        {"kind": "edit_message", "message_id": 1, "text": "x"},
        {"kind": "delete_message", "message_id": 1},
    ]
    for command in refused:
        assert (await client.ask(chat_id=public, **command))["code"] == "forbidden"  # type: ignore[arg-type]
    present = await writer.ack("presence", chat_id=public)
    assert present["result"]["members"] == []
    await client.ack("unsubscribe", chat_id=public)


async def test_non_member_of_public_chat_may_only_read(cluster: Cluster) -> None:
    ann, eve = await cluster.user("ann"), await cluster.user("eve")
    public = await cluster.chat(ann, kind=ChatKind.PUBLIC)
    client = await native(cluster, 0, eve)
    await client.ack("subscribe", chat_id=public)
    await client.ack("history", chat_id=public)
    for command in ({"kind": "message", "text": "hi"}, {"kind": "typing", "is_typing": True}):
        assert (await client.ask(chat_id=public, **command))["code"] == "forbidden"  # type: ignore[arg-type]


@pytest.fixture
async def one_node(tmp_path: Path, redis_url: str, sqlite_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1) as cluster:
        yield cluster


async def test_any_string_may_be_a_client_id(one_node: Cluster) -> None:
    names = ["x" * 255, "я" * 255, "a/b", "/", "%2F", "a b?c=d&e#f", "a\x00b", "chat", ".", "chat/1"]
    for client_id, slash in itertools.product(names, ("", "/")):
        client = await native(one_node, 0, client_id=client_id, slash=slash)
        assert (await client.ask("hello"))["client_id"] == client_id


async def test_other_urls_are_not_found(one_node: Cluster) -> None:
    for path in ("/ws/", "/ws", "/ws//", "/ws/a/b", "/ws/" + "x" * 256, "/ws/%FF"):
        with pytest.raises(InvalidStatus) as refused:
            await NativeClient.connect(one_node.nodes[0].ws_url(path))
        assert refused.value.response.status_code == 404


async def test_client_resumes_with_since_on_other_node(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chats = [await cluster.chat(ann, bob) for _ in range(3)]
    left, writer = await native(cluster, 0, ann), await native(cluster, 1, bob)
    acks = {chat: await left.ack("subscribe", chat_id=chat) for chat in chats}
    for chat in chats:
        await writer.ack("message", chat_id=chat, text="1")
    await left.until(lambda _: len(left.of_type("message")) == 3)
    await left.close()
    for chat in chats:
        for text in "234":
            await writer.ack("message", chat_id=chat, text=text)
    right = await native(cluster, 1, ann)
    epoch = acks[chats[0]]["result"]["epoch"]
    for chat, since in zip(chats, (1, f"{epoch}:1", f"{epoch}:4"), strict=True):
        await right.send(type="subscribe", chat_id=chat, since=since, id=f"s{chat}")
    await right.until(lambda _: len(right.of_type("caught_up")) == 3)
    await writer.ack("message", chat_id=chats[0], text="5")
    await right.until(lambda frames: frames[-1]["type"] == "message")
    seqs = {chat: [f["data"]["seq"] for f in right.of_type("message") if f["chat_id"] == chat] for chat in chats}
    assert seqs == {chats[0]: [2, 3, 4, 5], chats[1]: [2, 3, 4], chats[2]: []}
    assert {frame["seq"] for frame in right.of_type("caught_up")} == {4}
    await right.ack("subscribe", chat_id=chats[1], since="another:1")
    assert (await right.next("reset")) == {"type": "reset", "chat_id": chats[1], "last_seq": 4, "epoch": epoch}
    await right.ack("subscribe", chat_id=chats[1], since=3)  # again: it begins anew from there
    assert (await right.next("message"))["data"]["seq"] == 4
    await writer.ack("message", chat_id=chats[1], text="once")
    await right.next("message", lambda frame: frame["data"]["text"] == "once")
    await right.ask("ping")
    assert sum(frame["data"]["text"] == "once" for frame in right.of_type("message")) == 1


async def test_removed_member_loses_subscription_and_keeps_socket(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat, other = await cluster.chat(ann, bob), await cluster.chat(ann, bob)
    client, idle = await native(cluster, 0, bob), await native(cluster, 0, bob)
    for chat_id in (chat, other):
        await client.ack("subscribe", chat_id=chat_id)
    url = f"{cluster.nodes[1].url}/api/v1/chats/{chat}/members/{bob.id}"
    async with httpx.AsyncClient() as http:
        assert (await http.delete(url, headers=ann.headers)).status_code == 204
    for told in (client, idle):
        assert await told.next("chat_removed") == {"type": "chat_removed", "chat_id": chat}
    writer = await native(cluster, 1, ann)
    await writer.ack("message", chat_id=chat, text="unheard")
    await writer.ack("message", chat_id=other, text="heard")
    assert (await client.next("message"))["data"]["text"] == "heard"
    assert (await client.ask("message", chat_id=chat, text="hi"))["code"] == "forbidden"
    assert (await client.ask("subscribe", chat_id=chat))["code"] == "forbidden"
    assert len(client.of_type("chat_removed")) == len(idle.of_type("chat_removed")) == 1


async def test_members_act_in_chats_without_subscription(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    idle, watcher = await native(cluster, 0, ann), await native(cluster, 1, bob)
    await watcher.ack("subscribe", chat_id=chat)
    await watcher.ack("message", chat_id=chat, text="hello")
    history = await idle.ack("history", chat_id=chat)
    assert [message["text"] for message in history["result"]["messages"]] == ["hello"]
    assert history["result"]["last_seq"] == 1
    present = await idle.ack("presence", chat_id=chat)
    assert [member["user_id"] for member in present["result"]["members"]] == [bob.id]
    await idle.ack("typing", chat_id=chat, is_typing=True)
    assert (await watcher.next("typing"))["user_id"] == ann.id
    assert (await idle.ask("read_messages", chat_id=chat))["code"] == "invalid_field"
    await idle.ack("read_messages", chat_id=chat, seq=99)
    assert await watcher.next("messages_read") == {
        "type": "messages_read",
        "chat_id": chat,
        "user_id": ann.id,
        "username": ann.person.username,
        "display_name": ann.person.shown_name,
        "seq": 1,
    }


async def test_several_sockets_of_a_user_are_one_presence(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    watcher = await native(cluster, 0, ann)
    await watcher.ack("subscribe", chat_id=chat)
    sockets = [await native(cluster, number % 2, bob) for number in range(4)]
    for socket in sockets:
        await socket.ack("subscribe", chat_id=chat)
    await sockets[0].ack("subscribe", chat_id=chat)  # again, without leaving in between
    for socket in sockets[:3]:
        await socket.close()
    await sockets[3].ack("unsubscribe", chat_id=chat)
    await watcher.until(lambda _: len(watcher.of_type("presence")) == 2)
    assert [frame["status"] for frame in watcher.of_type("presence")] == ["join", "leave"]


async def test_expired_token_closes_socket_and_anonymous_stays(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    token = Issuer(TokenNames(), 3 - LEEWAY_S).issue(await cluster.keys.signing_key(), ann.id, ann.person.username)
    client, anonymous = await native(cluster, 0, token=token), await native(cluster, 0)
    assert (await client.ask("hello"))["authenticated"] is True
    assert (await client.closed())[0] == 4401
    await anonymous.ask("ping")


async def test_socket_has_at_most_1000_subscriptions(one_node: Cluster) -> None:
    ann = await one_node.user("ann")
    async with one_node.chats._database.transaction():
        rooms = [ChatRoom(kind=ChatKind.PUBLIC, title="", creator_id=ann.id) for _ in range(1001)]
        await ChatRoom.bulk_create(rooms)
    first = await one_node.chat(ann, kind=ChatKind.PUBLIC) - 1001
    client = await native(one_node, 0)
    for chat_id in range(first, first + 1000):
        await client.send(type="subscribe", chat_id=chat_id, id=f"s{chat_id}")
    await client.until(lambda _: len(client.of_type("ack")) == 1000, timeout_s=30)
    refused = await client.ask("subscribe", chat_id=first + 1000)
    assert (refused["type"], refused["code"]) == ("error", "too_many_subscriptions")
    await client.ack("subscribe", chat_id=first, id="again")
    await client.ack("unsubscribe", chat_id=first)
    await client.ack("subscribe", chat_id=first + 1000)


async def test_drain_closes_every_socket(cluster: Cluster) -> None:
    client = await native(cluster, 0, await cluster.user("ann"))
    await client.ask("ping")
    os.kill(cluster.nodes[0].pid, signal.SIGTERM)
    assert (await client.closed())[0] == 4000
