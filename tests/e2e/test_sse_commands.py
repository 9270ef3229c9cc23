"""Commands over HTTP beside an event stream, on any of two nodes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.api.chat_access import Actor
from gateway.api.commands import ELSEWHERE, CommandDialect, CommandRoutes
from gateway.dialects.native import KEYS
from gateway.http.problems import HANDLERS
from httpapi.caller_turns import CallerTurns
from storage.records import Person
from tests.gateway.sessions.stand_ins import Counts, Node, context_of
from tests.support.cluster import Cluster, User, run_cluster
from tests.support.documented import is_documented
from tests.support.event_stream import event_stream

KEY = {"X-Service-Key": "u9Yq2mTz7cKp4vXw8bNr"}
COMMANDS = "/api/v1/commands"


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    settings = {"SERVICE_KEYS": f"backend:{KEY['X-Service-Key']}", "MESSAGES_PER_MINUTE": 4}
    async with run_cluster(tmp_path, redis_url, database_url, **settings) as cluster:
        yield cluster


async def tell(
    cluster: Cluster, node: int, headers: dict[str, str], status: int = 200, **command: object
) -> dict[str, Any]:
    """The response to a command on one of the nodes."""
    async with httpx.AsyncClient(base_url=cluster.nodes[node].url, headers=headers) as http:
        answer = await http.post(COMMANDS, json=command)
        assert answer.status_code == status, answer.text
        result: dict[str, Any] = answer.json()
        if status == 200:
            assert is_documented("native", "send", result) or "id" not in result, result
        return result


async def test_conversation_needs_no_socket(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    streams = f"{cluster.nodes[0].url}/sse/me", f"{cluster.nodes[1].url}/sse/me"
    async with event_stream(streams[0], ann.token, chats=chat) as to_ann:
        await to_ann.next("ack")
        async with event_stream(streams[1], bob.token, chats=chat) as to_bob:
            await to_bob.next("ack")

            async def of(user: User, kind: str, **fields: object) -> dict[str, Any]:
                return await tell(cluster, 1 if user is ann else 0, user.headers, type=kind, chat_id=chat, **fields)

            sent = await of(ann, "message", text="Hello", client_msg_id="c-1", id="m")
            assert (sent["type"], sent["id"], sent["seq"], sent["client_msg_id"]) == ("ack", "m", 1, "c-1")
            again = await of(ann, "message", text="Hello", client_msg_id="c-1")
            assert (again["message_id"], again["duplicate"]) == (sent["message_id"], True)
            for stream in (to_ann, to_bob):
                assert (await stream.next("message"))["data"]["text"] == "Hello"
            assert await of(bob, "typing", is_typing=True) == {"type": "ack", "chat_id": chat}
            assert (await to_ann.next("typing"))["user_id"] == bob.id
            assert await of(bob, "read_messages", seq=1, id=7) == {"type": "ack", "chat_id": chat, "id": 7}
            assert (await to_ann.next("messages_read"))["seq"] == 1
            assert (await to_bob.next("chat_read"))["seq"] == 1
            await of(ann, "edit_message", message_id=sent["message_id"], text="Hello, Bob")
            assert (await to_bob.next("message"))["data"]["is_edited"]
            page = (await of(bob, "history"))["result"]["messages"]
            assert [message["text"] for message in page] == ["Hello, Bob"]
            present = (await of(bob, "presence"))["result"]["members"]
            assert {user["user_id"] for user in present} == {ann.id, bob.id}
            await of(ann, "delete_message", message_id=sent["message_id"])
            assert (await to_bob.next("message"))["data"]["is_deleted"]
            assert to_bob.texts() == ["Hello", "Hello, Bob", ""]
    assert await tell(cluster, 0, ann.headers, type="ping") == {"type": "pong"}
    assert (await tell(cluster, 0, ann.headers, type="hello", message="hi"))["user_id"] == ann.id


async def test_rejections_are_problems_with_the_codes_of_errors(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat, foreign = await cluster.chat(ann), await cluster.chat(bob)
    for status, code, command in (
        (422, "unknown_type", {"type": "shout", "chat_id": chat}),
        (422, "empty_text", {"type": "message", "chat_id": chat, "text": ""}),
        (422, "text_too_long", {"type": "message", "chat_id": chat, "text": "x" * 1001}),
        (422, "invalid_field", {"type": "message", "chat_id": chat, "text": "x", "tittle": 1}),
        (422, "invalid_field", {"type": "read_messages", "chat_id": chat}),
        (403, "forbidden", {"type": "message", "chat_id": foreign, "text": "x"}),
        (403, "forbidden", {"type": "history", "chat_id": foreign}),
        (404, "not_found", {"type": "delete_message", "chat_id": chat, "message_id": 99_999}),
        *((422, "unknown_type", {"type": kind, "chat_id": chat}) for kind in ("subscribe", "unsubscribe")),
        (422, "unknown_type", {"type": "refresh", "token": ann.token}),
    ):
        problem = await tell(cluster, 0, ann.headers, status, **command)
        assert problem["code"] == code, command
    async with httpx.AsyncClient(base_url=cluster.nodes[0].url) as http:
        as_json = ann.headers | {"Content-Type": "application/json"}
        for status, code, content, headers in (
            (400, "invalid_json", b"not JSON", as_json),
            (400, "invalid_json", b"[]", as_json),
            (400, "invalid_json", b'{"a":' * 40, as_json),
            (400, "invalid_json", b'{"a":' + b"[" * 60_000, as_json),
            (400, "invalid_json", b'{"type":"history","a":' + b"[" * 30_000 + b"]" * 30_000 + b"}", as_json),
            (422, "unknown_type", b'{"type":5}', as_json),
            (413, "too_large", b" " * 65_537, as_json),
            (415, "unsupported_media_type", b'{"type":"ping"}', ann.headers),
            (401, "unauthorized", b'{"type":"ping"}', {"Content-Type": "application/json"}),
            (422, "invalid_field", b'{"type":"ping"}', as_json | KEY | {"Authorization": ""}),
        ):
            answer = await http.post(COMMANDS, content=content, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (status, code), content[:20]


async def test_limit_a_minute_counts_commands_of_sockets_and_http(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    client = await cluster.client(0, ann)
    for number in range(2):
        await client.send(chat, "by socket")
        await tell(cluster, number, ann.headers, type="message", chat_id=chat, text="over HTTP")
    async with httpx.AsyncClient(base_url=cluster.nodes[1].url) as http:
        command = {"type": "message", "chat_id": chat, "text": "one more"}
        answer = await http.post(COMMANDS, json=command, headers=ann.headers)
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert 0 < int(answer.headers["retry-after"]) <= 60
        service = KEY | {"X-On-Behalf-Of": str(ann.id)}
        assert (await http.post(COMMANDS, json=command, headers=service)).status_code == 200
        counted = await http.post(COMMANDS, json=command, headers=service | {"X-Count-Limit": "true"})
        assert counted.status_code == 429


async def test_pages_of_history_take_the_turns_of_the_reads_of_a_user() -> None:
    actors: Any = Ann()
    reads = CallerTurns(at_once=1, per_caller=1, total=1)
    routes = CommandRoutes(actors, context_of(Node(), Counts()), CommandDialect(1000), reads).routes()
    app = Starlette(routes=routes, exception_handlers=HANDLERS)
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chat.example") as http,
        reads.turn(Ann.person.id),
    ):
        page = await http.post(COMMANDS, json={"type": "history", "chat_id": 1})
        assert (page.status_code, page.json()["code"]) == (429, "rate_limited")
        assert (await http.post(COMMANDS, json={"type": "ping"})).json() == {"type": "pong"}


class Ann:
    """In the place of Actors: everybody is Ann."""

    person = Person(7, "ann")

    async def user(self, *_: object) -> tuple[Person, Actor]:
        return self.person, Actor(self.person)


def test_only_commands_of_a_sockets_state_are_left_out() -> None:
    assert set(KEYS) > ELSEWHERE
