"""Names of every script, and invisible texts, over two nodes and every interface."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from storage.records import ChatKind
from tests.support.cluster import Cluster, run_cluster
from tests.support.native_client import native

NOTHING = "\u200b\ufeff \u2800\u3164\U000e0020"
NAME = "علی\u200cرضا\u00a0👩🏽\u200d🚀"


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, database_url, MESSAGES_PER_MINUTE=0) as cluster:
        yield cluster


async def test_invisible_text_is_rejected_as_empty_by_every_dialect(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat, service = await cluster.chat(ann, bob), await cluster.chat(ann, bob, kind=ChatKind.SERVICE)
    chat_socket, other = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
    public = await cluster.open(1, "/channels/public", ann.token)
    many = await native(cluster, 1, ann)
    flat = await cluster.open(0, f"/ws/service-chats/{service}", ann.token)
    sent = await chat_socket.say(f"{NOTHING}.")
    assert (await other.next("message"))["data"]["text"] == f"{NOTHING}.", "a text keeps what is invisible in it"
    for socket, frame in (
        (chat_socket, {"type": "message", "text": NOTHING}),
        (chat_socket, {"type": "edit_message", "id": sent["id"], "text": NOTHING}),
        (public, {"type": "message", "text": NOTHING}),
        (flat, {"type": "message", "content": NOTHING}),
        (many, {"type": "message", "chat_id": chat, "text": NOTHING}),
        (many, {"type": "edit_message", "chat_id": chat, "message_id": sent["id"], "text": NOTHING}),
    ):
        await socket.send(**frame)
        assert (await socket.next("error"))["code"] == "empty_text"
    await public.send_raw(NOTHING)
    assert (await public.next("error"))["code"] == "empty_text"
    for node in cluster.nodes:
        async with httpx.AsyncClient(base_url=node.url, headers=ann.headers) as http:
            for path, body in (
                (f"/api/v1/chats/{chat}/messages", {"text": NOTHING}),
                ("/message", {"room_id": "room", "content": NOTHING}),
            ):
                answer = await http.post(path, json=body)
                assert (answer.status_code, answer.json()["code"]) == (422, "empty_text")
            assert (await http.get(f"/api/v1/chats/{chat}")).json()["last_seq"] == 1, "nothing was stored"


async def test_title_of_any_script_is_kept_and_invisible_rejected(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    async with httpx.AsyncClient(base_url=cluster.nodes[0].url, headers=ann.headers) as http:
        made = await http.post("/api/v1/chats", json={"kind": "group", "title": NAME})
        for title in (NOTHING, "a\u202eb", "a\u2067b", "a\nb"):
            answer = await http.post("/api/v1/chats", json={"kind": "group", "title": title})
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
    async with httpx.AsyncClient(base_url=cluster.nodes[1].url, headers=ann.headers) as http:
        (listed,) = (await http.get("/api/v1/chats")).json()["chats"]
    assert (made.status_code, listed["title"]) == (201, NAME)
