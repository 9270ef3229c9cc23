"""Reactions over two nodes: live and replayed, in every dialect, within their limits."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from storage.records import ChatKind
from tests.support.chat_client import ChatClient, Frame
from tests.support.cluster import Cluster, User, run_cluster
from tests.support.native_client import native


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    limits = {"MESSAGES_PER_MINUTE": 0, "SECOND_CONNECTION": "allow"}
    async with run_cluster(tmp_path, redis_url, database_url, **limits) as cluster:
        yield cluster


async def events_of(client: ChatClient, last_seq: int) -> list[Frame]:
    """The stored events that the client has received, once it has the one with this seq."""

    def stored(frames: list[Frame]) -> list[Frame]:
        return [frame for frame in frames if frame["type"] in ("message", "reaction") and "duplicate" not in frame]

    def seq_of(frame: Frame) -> int:
        seq: int = frame["data"]["seq"] if frame["type"] == "message" else frame["seq"]
        return seq

    frames = await client.until(lambda frames: any(seq_of(frame) == last_seq for frame in stored(frames)))
    assert [seq_of(frame) for frame in stored(frames)] == list(range(1, last_seq + 1))
    return stored(frames)


async def react(client: ChatClient, message_id: int, key: str = "👍", **fields: object) -> None:
    await client.send(type="react", message_id=message_id, key=key, **fields)


async def test_reaction_reaches_every_socket_with_counts(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    left, right = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
    message = await left.say("hello")
    await right.next("message")
    await react(right, message["id"])
    heard = await left.next("reaction")
    assert await right.next("reaction") == heard
    fields = {"type": "reaction", "message_id": message["id"], "key": "👍", "user_id": bob.id, "removed": False}
    assert heard == fields | {"counts": {"👍": 1}, "seq": 2, "client_msg_id": heard["client_msg_id"]}
    await react(left, message["id"])
    assert (await right.next("reaction"))["counts"] == {"👍": 2}
    await react(right, message["id"], remove=True)
    assert (await left.next("reaction", lambda frame: frame["removed"]))["counts"] == {"👍": 1}
    await left.send(type="edit_message", id=message["id"], text="hello!")
    edited = await right.next("message")
    assert (edited["data"]["text"], edited["data"]["reactions"]) == ("hello!", {"👍": 1})
    await left.send(type="delete_message", id=message["id"])
    assert "reactions" not in (await right.next("message"))["data"]


async def test_replayed_reactions_are_the_live_ones(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    left, right = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
    message = await left.say("hello")
    await right.next("message")
    for number in range(20):
        await react([left, right][number % 2], message["id"], "👍❤️😂"[number % 3], remove=number % 5 == 4)
    messages_before, last = 1, await settled(cluster, chat, ann)
    live = await events_of(right, last)
    for node in range(2):
        for since in (0, 5):
            client = await cluster.connect(node, chat, bob, since=since)
            await client.next("caught_up")
            replayed = [frame for frame in client.frames if frame["type"] == "reaction"]
            assert replayed == [frame for frame in live[messages_before:] if frame["seq"] > since]
            await client.close()
    page = await history(cluster, chat, bob)
    assert page[0]["reactions"] == live[-1]["counts"]
    own = {frame["key"]: frame["removed"] for frame in live[1:] if frame["user_id"] == bob.id}
    assert sorted(page[0].get("own_reactions", [])) == sorted(key for key, removed in own.items() if not removed)


async def settled(cluster: Cluster, chat: int, user: User) -> int:
    """The last seq of the chat, once nothing is stored any more."""
    last, seen = -1, -2
    async with httpx.AsyncClient(headers=user.headers) as http:
        while last != seen:
            last = seen
            await asyncio.sleep(0.3)
            seen = (await http.get(f"{cluster.nodes[0].url}/api/v1/chats/{chat}/messages")).json()["last_seq"]
    return last


async def history(cluster: Cluster, chat: int, user: User, **query: int) -> list[Frame]:
    async with httpx.AsyncClient(headers=user.headers) as http:
        answer = await http.get(f"{cluster.nodes[1].url}/api/v1/chats/{chat}/messages", params=query)
        page: list[Frame] = answer.json()["messages"]
        return page


async def test_reaction_that_changes_nothing_is_answered_to_the_sender(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    left, right = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
    message = await left.say("hello")
    await react(left, message["id"], client_msg_id="r1")
    first = await left.next("reaction")
    await react(left, message["id"], client_msg_id="r1")
    assert await left.next("reaction") == first | {"duplicate": True}
    await react(left, message["id"])
    again = await left.next("reaction")
    assert (again["duplicate"], again["counts"], "seq" in again) == (True, {"👍": 1}, False)
    await left.say("more")
    assert [frame["type"] for frame in await events_of(right, 3)] == ["message", "reaction", "message"]


async def test_native_command_is_acknowledged(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    speaker, listener = await native(cluster, 0, ann), await native(cluster, 1, bob)
    await listener.ack("subscribe", chat_id=chat)
    message_id = (await speaker.ack("message", chat_id=chat, text="hi"))["message_id"]
    fields = {"chat_id": chat, "message_id": message_id, "key": "👍"}
    ack = await speaker.ack("react", **fields, client_msg_id="r1")
    assert (ack["message_id"], ack["seq"], ack["client_msg_id"]) == (message_id, 2, "r1")
    assert (await listener.next("reaction"))["chat_id"] == chat
    again = await speaker.ack("react", **fields)
    assert {name: again[name] for name in again if name != "id"} == {
        "type": "ack",
        "chat_id": chat,
        "message_id": message_id,
        "duplicate": True,
    }
    page = (await speaker.ack("history", chat_id=chat))["result"]["messages"]
    assert (page[0]["reactions"], page[0]["own_reactions"]) == ({"👍": 1}, ["👍"])
    error = await speaker.ask("react", **(fields | {"message_id": message_id + 1_000}))
    assert error["code"] == "not_found"
    for key in "abcd":
        await speaker.ack("react", **(fields | {"key": key}))
    assert (await speaker.ask("react", **(fields | {"key": "e"})))["code"] == "reaction_limit"


async def test_service_chat_carries_reactions(cluster: Cluster) -> None:
    master, client = await cluster.user("master"), await cluster.user("client")
    chat = await cluster.chat(master, client, kind=ChatKind.SERVICE)
    path = f"/ws/service-chats/{chat}"
    left, right = [await cluster.open(node, path, user.token) for node, user in enumerate((master, client))]
    await left.send(type="message", content="hello")
    message = await right.next("message")
    await react(right, message["id"], client_msg_id="r1")
    heard = await left.next("reaction")
    assert (heard["chat_id"], heard["counts"], heard["user_id"]) == (chat, {"👍": 1}, client.id)
    assert (await right.next("ack"))["seq"] == 2
    assert right.of_type("reaction") == [], "its own, as of messages"
    resumed = await cluster.open(0, path, client.token, since=0)
    await resumed.next("caught_up")
    assert resumed.of_type("reaction") == [heard]
    assert resumed.of_type("message")[0]["reactions"] == {"👍": 1}


async def test_reactions_of_a_minute_are_limited_over_both_nodes(
    tmp_path: Path, redis_url: str, sqlite_url: str
) -> None:
    limits = {"REACTIONS_PER_MINUTE": 4, "MESSAGES_PER_MINUTE": 0, "SECOND_CONNECTION": "allow"}
    async with run_cluster(tmp_path, redis_url, sqlite_url, **limits) as cluster:
        ann = await cluster.user("ann")
        chat = await cluster.chat(ann)
        clients = [await cluster.enter(node, chat, ann) for node in (0, 1, 0, 1)]
        message = await clients[0].say("hello")
        for number in range(16):
            client, ref = clients[number % 4], f"r{number}"
            errors = len(client.of_type("error"))
            await react(client, message["id"], remove=number % 2 == 1, client_msg_id=ref)
            await client.until(
                lambda frames, ref=ref, errors=errors: (
                    any(frame.get("client_msg_id") == ref for frame in frames)
                    or len([frame for frame in frames if frame["type"] == "error"]) > errors
                )
            )
        rejected = [frame for client in clients for frame in client.of_type("error")]
        assert rejected and {error["code"] for error in rejected} == {"rate_limited"}
        stored = {frame["seq"] for client in clients for frame in client.of_type("reaction") if "seq" in frame}
        assert len(stored) == 12
