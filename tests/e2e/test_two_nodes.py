"""One chat over two nodes: the documented guarantees, with real Redis and both databases."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.chat_client import ChatClient
from tests.support.cluster import Cluster, run_cluster


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, database_url) as cluster:
        yield cluster


@pytest.fixture
async def unlimited(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, database_url, MESSAGES_PER_MINUTE=0) as cluster:
        yield cluster


async def test_two_users_chat_over_two_nodes(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    left, right = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
    sent = await left.say("Привет, как дела?")
    heard = (await right.next("message"))["data"]
    assert heard == sent
    assert (sent["seq"], sent["text"]) == (1, "Привет, как дела?")
    assert sent["sender"] == {
        "id": ann.id,
        "username": ann.person.username,
        "first_name": "Ann",
        "last_name": "Test",
    }
    nodes = {client.frames[0]["node"] for client in (left, right)}
    assert len(nodes) == 2


async def test_message_sent_before_greeting_gets_its_own_copy(unlimited: Cluster) -> None:
    """Seed 004 sends from `onopen`, and the copy is all the acknowledgement that it gets."""
    for number in range(20):
        ann = await unlimited.user("ann")
        client = await unlimited.connect(number % 2, await unlimited.chat(ann), ann)
        for text in ("one", "two"):
            await client.send(type="message", text=text)
        await client.next("message", lambda frame: frame["data"]["text"] == "two")
        assert client.seqs == [1, 2]
        await client.close()


async def test_many_writers_on_two_nodes_give_one_order_without_gap(unlimited: Cluster) -> None:
    writers = 50
    users = [await unlimited.user("writer") for _ in range(2 * writers)]
    chat = await unlimited.chat(*users)
    clients = await asyncio.gather(*(unlimited.enter(i % 2, chat, user) for i, user in enumerate(users)))

    async def write(client: ChatClient, number: int) -> None:
        for i in range(5):
            await client.say(f"{number}.{i}", f"{number}-{i}")

    await asyncio.gather(*(write(client, number) for number, client in enumerate(clients)))
    total = len(clients) * 5
    for client in clients:
        await client.until(lambda _, client=client: len(client.seqs) >= total)
    assert all(client.seqs == list(range(1, total + 1)) for client in clients)
    orders = {tuple(frame["data"]["id"] for frame in client.of_type("message")) for client in clients}
    assert len(orders) == 1
    for number in range(len(clients)):
        mine = [f["data"]["text"] for f in clients[0].of_type("message") if f["data"]["text"].startswith(f"{number}.")]
        assert mine == [f"{number}.{i}" for i in range(5)]


async def test_minute_limit_holds_over_both_nodes(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    first, second = await cluster.chat(ann, bob), await cluster.chat(ann)
    clients = [await cluster.enter(0, first, ann), await cluster.enter(1, second, ann)]

    async def send(client: ChatClient, number: int) -> None:
        await client.send(type="message", text=f"m{number}", client_msg_id=f"id{number}")

    await asyncio.gather(*(send(clients[i % 2], i) for i in range(24)))
    for client in clients:
        await client.until(lambda _, c=client: len(c.of_type("message")) + len(c.of_type("error")) == 12)
    stored = [frame for client in clients for frame in client.of_type("message")]
    errors = [frame for client in clients for frame in client.of_type("error")]
    assert len(stored) == 10
    assert {error["code"] for error in errors} == {"rate_limited"}
    assert all(0 < error["retry_after_s"] <= 60 for error in errors)
    # A retry of a stored message is answered even now: it stores nothing.
    retried = stored[0]["data"]["client_msg_id"]
    owner = clients[0] if stored[0] in clients[0].frames else clients[1]
    text = stored[0]["data"]["text"]
    await owner.send(type="message", text=text, client_msg_id=retried)
    again = await owner.next("message", lambda frame: frame.get("duplicate") is True)
    assert again["data"] == stored[0]["data"]


async def test_second_connection_closes_first_on_other_node(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    first = await cluster.enter(0, chat, ann)
    second = await cluster.enter(1, chat, ann)
    assert (await first.closed())[0] == 4409
    await second.say("still here")
    third = await cluster.enter(1, chat, ann)
    assert (await second.closed())[0] == 4409
    await third.say("and here")


async def test_concurrent_connections_leave_exactly_one(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    clients = await asyncio.gather(*(cluster.connect(i % 2, chat, ann) for i in range(10)))

    def open_ones() -> list[ChatClient]:
        return [client for client in clients if client.socket.close_code is None]

    async with asyncio.timeout(10):
        while len(open_ones()) > 1:
            await asyncio.wait([asyncio.ensure_future(c.socket.wait_closed()) for c in open_ones()], timeout=0.1)
    await open_ones()[0].say("the one")


async def test_typing_and_read_receipts_reach_only_others(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    left, right = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
    await left.send(type="typing", is_typing=True)
    assert await right.next("typing") == {
        "type": "typing",
        "user_id": ann.id,
        "username": ann.person.username,
        "is_typing": True,
    }
    await left.say("hello")
    await right.next("message")
    await right.send(type="read_messages")
    assert await left.next("messages_read") == {
        "type": "messages_read",
        "user_id": bob.id,
        "username": bob.person.username,
        "seq": 1,
    }
    await right.say("hello, ann")
    await left.next("message", lambda frame: frame["data"]["seq"] == 2)
    assert left.of_type("typing") == []
    assert right.of_type("messages_read") == []


async def test_presence_starts_with_first_and_ends_with_last_socket(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    left = await cluster.enter(0, chat, ann)
    right = await cluster.enter(1, chat, bob)
    joined = await left.next("presence")
    assert (joined["user_id"], joined["status"]) == (bob.id, "join")
    await left.send(type="presence")
    state = await left.next("presence_state")
    assert {member["user_id"] for member in state["members"]} == {ann.id, bob.id}
    await right.close()
    gone = await left.next("presence")
    assert (gone["user_id"], gone["status"]) == (bob.id, "leave")
    assert all(frame["user_id"] != ann.id for frame in left.of_type("presence"))


async def test_presence_ends_within_a_minute_of_node_death(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    left = await cluster.enter(0, chat, ann)
    await cluster.enter(1, chat, bob)
    await left.next("presence")
    cluster.nodes[1].kill()
    await left.until(lambda _: any(f["status"] == "leave" for f in left.of_type("presence")), timeout_s=60)
    await left.send(type="presence")
    state = await left.next("presence_state")
    assert [member["user_id"] for member in state["members"]] == [ann.id]


@pytest.mark.parametrize("origin", [None, "page"])
async def test_stranger_is_rejected(cluster: Cluster, origin: str | None) -> None:
    ann, eve = await cluster.user("ann"), await cluster.user("eve")
    chat = await cluster.chat(ann)
    node = cluster.nodes[0]
    for chat_id in (chat, 999_999):
        if origin is None:
            with pytest.raises(InvalidStatus) as refused:
                await ChatClient.connect(node.chat_url(chat_id), eve.token)
            assert refused.value.response.status_code == 403
        else:
            client = await ChatClient.connect(node.chat_url(chat_id), eve.token, origin=node.url)
            assert (await client.closed())[0] == 4403
            assert client.frames == []


async def test_socket_without_valid_token_is_rejected(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    node = cluster.nodes[0]
    for token in (None, "nonsense", ann.token[:-4] + "AAAA"):
        with pytest.raises(InvalidStatus) as refused:
            await ChatClient.connect(node.chat_url(chat), token)
        assert refused.value.response.status_code == 401
    page = await ChatClient.connect(node.chat_url(chat), "nonsense", origin=node.url)
    assert (await page.closed())[0] == 4401


async def test_token_is_accepted_in_each_of_four_places(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    node = cluster.nodes[0]
    ways: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({}, {"additional_headers": ann.headers}),
        ({"token": ann.token}, {}),
        ({}, {"subprotocols": ["bearer", ann.token]}),
        ({}, {"additional_headers": {"Cookie": f"access_token={ann.token}"}, "origin": node.url}),
    ]
    for query, options in ways:
        async with connect(node.chat_url(chat, **query), proxy=None, **options) as socket:
            assert "connection_established" in str(await socket.recv())
            assert socket.subprotocol == ("bearer" if "subprotocols" in options else None)
    assert ann.token not in node.log


async def test_bad_input_gets_documented_error_and_keeps_socket_open(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    client = await cluster.enter(0, await cluster.chat(ann), ann)
    bad: list[tuple[str | bytes, str]] = [
        ("not json", "invalid_json"),
        ("[]", "invalid_json"),
        ("5", "invalid_json"),
        ("[" * 30_000 + "]" * 30_000, "invalid_json"),
        ('{"type":"message","text":NaN}', "invalid_json"),
        (b'{"type":"ping"}', "invalid_json"),
        ('{"type":"message","text":"a\\u0000"}', "invalid_text"),
        ('{"type":"message","text":"\\ud800"}', "invalid_text"),
        ('{"type":"message","text":""}', "empty_text"),
        ('{"type":"message","text":7}', "empty_text"),
        ('{"type":"message","text":"' + "x" * 1001 + '"}', "text_too_long"),
        ('{"type":"typing","is_typing":"yes"}', "invalid_field"),
        ('{"type":"invalid_type"}', "unknown_type"),
        ('{"type":"edit_message","id":12345,"text":"b"}', "not_found"),
    ]
    for payload, code in bad:
        await client.send_raw(payload)
        assert (await client.next("error"))["code"] == code
    await client.say("я" * 1000)


async def test_edits_and_deletions_reach_history_and_resume(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    left, right = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
    first, second = await left.say("first"), await left.say("second")
    await left.send(type="edit_message", id=first["id"], text="first, edited")
    edited = await right.next("message", lambda frame: frame["data"]["seq"] == 3)
    assert (edited["data"]["id"], edited["data"]["text"]) == (first["id"], "first, edited")
    assert edited["data"]["is_edited"]
    await right.send(type="delete_message", id=second["id"])
    assert (await right.next("error"))["code"] == "forbidden"
    await left.send(type="delete_message", id=second["id"])
    deleted = await right.next("message", lambda frame: frame["data"]["seq"] == 4)
    assert (deleted["data"]["text"], deleted["data"]["is_deleted"]) == ("", True)
    await right.send(type="history")
    history = await right.next("history")
    assert [(m["id"], m["text"]) for m in history["messages"]] == [
        (first["id"], "first, edited"),
        (second["id"], ""),
    ]
    assert history["last_seq"] == 4
    again = await cluster.enter(0, chat, bob, since=1)
    caught_up = await again.next("caught_up")
    assert caught_up["seq"] == 4
    assert again.seqs == [2, 3, 4]
    assert "second" not in {frame["data"]["text"] for frame in again.of_type("message")}
    beyond = await cluster.enter(0, chat, bob, since=99)
    assert (await beyond.next("reset"))["last_seq"] == 4


async def test_same_id_is_a_duplicate_and_never_another_message(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    left = await cluster.enter(0, chat, ann)
    first = await left.say("once", "id-1")
    right = await cluster.enter(1, chat, ann)
    await right.send(type="message", text="once", client_msg_id="id-1")
    again = await right.next("message")
    assert (again["data"], again["duplicate"]) == (first, True)
    await right.send(type="message", text="twice", client_msg_id="id-1")
    assert (await right.next("error"))["code"] == "id_reused"


async def test_rejected_handshake_is_not_logged_as_error(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    with pytest.raises(InvalidStatus):
        await ChatClient.connect(cluster.nodes[0].chat_url(await cluster.chat(ann)), "nonsense")
    assert "refused" in cluster.nodes[0].log
    assert " error " not in cluster.nodes[0].log


@pytest.fixture
async def logging_json(tmp_path: Path, redis_url: str, sqlite_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, LOG_FORMAT="json") as cluster:
        yield cluster


async def test_client_activity_is_logged(logging_json: Cluster) -> None:
    cluster = logging_json
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann)
    client = await cluster.enter(0, chat, ann)
    data = await client.say("a secret of ours")
    await client.send(type="nonsense")
    await client.next("error")
    with pytest.raises(InvalidStatus):
        await cluster.connect(0, chat, bob)
    await client.close()
    node = cluster.nodes[0]
    async with asyncio.timeout(5):
        while '"disconnected"' not in node.log:
            await asyncio.sleep(0.01)
    entries = {entry["event"]: entry for entry in map(orjson.loads, node.log.splitlines())}
    for event in ("connected", "disconnected"):
        assert (entries[event]["user_id"], entries[event]["chat_id"]) == (ann.id, chat)
    stored = {"chat_id": chat, "seq": 1, "message_id": data["id"], "user_id": ann.id, "kind": "message"}
    assert entries["messages_stored"]["messages"] == [stored]
    assert entries["command_refused"]["code"] == "unknown_type"
    assert entries["refused"]["code"] == "forbidden"
    assert "a secret of ours" not in node.log
