"""Unknown fields are rejected by name in our own API and ignored in the calls of the seeds."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.cluster import Cluster, run_cluster
from tests.support.native_client import native

KEY = "a service key of this test"


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, sqlite_url: str) -> AsyncIterator[Cluster]:
    settings = {"SECOND_CONNECTION": "allow", "DRAIN_S": 1, "SERVICE_KEYS": KEY}
    async with run_cluster(tmp_path, redis_url, sqlite_url, **settings) as cluster:
        yield cluster


async def test_unknown_field_in_api_body_is_rejected_by_name(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann)
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("/api/v1/chats", {"kind": "group", "tittle": "x"}),
        ("/api/v1/chats", {"kind": "group", "members": [{"login": "bob", "tittle": 1}]}),
        (f"/api/v1/chats/{chat}/members", {"user_id": bob.id, "tittle": "member"}),
        (f"/api/v1/chats/{chat}/messages", {"text": "x", "tittle": None}),
        (f"/api/v1/users/{bob.id}/send", {"data": 1, "tittle": {}}),
        ("/api/v1/clients/c/send", {"data": 1, "tittle": []}),
    ]
    async with httpx.AsyncClient(headers=ann.headers | {"X-Service-Key": KEY}) as http:
        for node in cluster.nodes:
            for path, body in bodies:
                answer = await http.post(node.url + path, json=body)
                assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field"), (path, body)
                assert "`tittle`" in answer.json()["detail"]
            answer = await http.patch(f"{node.url}/api/v1/chats/{chat}/me", json={"tittle": True})
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
            answer = await http.post(node.url + "/api/v1/chats", json={"kind": "group", "x" * 60_000: 1})
            assert (answer.status_code, len(answer.text) < 1000) == (422, True)
            listed = (await http.get(node.url + "/api/v1/chats")).json()["chats"]
            assert [one["id"] for one in listed] == [chat]
            document = (await http.get(node.url + "/openapi.json")).json()
            for path, methods in document["paths"].items():
                for operation in methods.values():
                    for media in operation.get("requestBody", {}).get("content", {}).values():
                        name = media["schema"]["$ref"].rpartition("/")[2]
                        is_ours = path.startswith("/api/v1/") and "login" not in path
                        closed = document["components"]["schemas"][name].get("additionalProperties", True) is False
                        assert closed == is_ours, path


async def test_unknown_field_in_native_command_is_rejected_by_name(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    for node in range(2):
        client = await native(cluster, node, ann)
        commands: list[dict[str, Any]] = [
            {"type": "ping"},
            {"type": "subscribe", "chat_id": chat},
            {"type": "message", "chat_id": chat, "text": "x"},
            {"type": "message", "chat_id": chat, "text": "x", "client_msg_id": f"c-{node}"},
            {"type": "react", "chat_id": chat, "message_id": 1, "key": "x"},
            {"type": "typing", "chat_id": chat, "is_typing": True},
            {"type": "history", "chat_id": chat},
            {"type": "presence", "chat_id": chat},
            {"type": "read_messages", "chat_id": chat, "seq": 0},
            {"type": "unsubscribe", "chat_id": chat},
        ]
        for command in commands:
            kind, fields = command["type"], {name: value for name, value in command.items() if name != "type"}
            error = await client.ask(kind, **fields, tittle=1)
            shown = (error["type"], error["code"], error["message"])
            assert shown == ("error", "invalid_field", "Unknown field: tittle"), command
        error = await client.ask("ping", **{"x" * 60_000: 1})
        assert (error["code"], len(error["message"]) < 100) == ("invalid_field", True)
        assert (await client.ack("history", chat_id=chat))["result"]["messages"] == []
        greeting = await client.ask("hello", message="hi", tittle=1)
        assert (greeting["type"], greeting["message"]) == ("hello", "hi")


async def test_seed_calls_ignore_unknown_fields(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    client = await cluster.enter(0, chat, ann)
    await client.send(type="message", text="x", tittle=1, client_msg_id="c")
    assert (await client.next("message"))["data"]["text"] == "x"
    async with httpx.AsyncClient() as http:
        answer = await http.post(cluster.nodes[1].url + "/message", json={"room_id": "r", "content": "x", "tittle": 1})
        assert answer.status_code == 200


async def test_unknown_parameters_are_rejected_by_the_api_alone(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    ids = {
        "chat_id": chat,
        "user_id": ann.id,
        "client_id": "c",
        "message_id": 1,
        "sub": "u7",
        "session_id": "0" * 32,
        "key": "x",
    }
    async with httpx.AsyncClient(headers=ann.headers | {"X-Service-Key": KEY}) as http:
        paths = (await http.get(cluster.nodes[0].url + "/openapi.json")).json()["paths"]
        operations = [(path, method, one) for path, methods in paths.items() for method, one in methods.items()]
        assert len(operations) > 15
        for path, method, operation in operations:
            url = cluster.nodes[1].url + path.format(**ids)
            answer = await http.request(method, url, params={"tittle": "x"}, json={})
            is_ours = path.startswith("/api/v1/") and path != "/api/v1/login/access-token"
            is_named = answer.status_code == 422 and "parameter: `tittle`." in answer.json()["detail"]
            assert is_named == is_ours, (method, path, answer.text)
            if is_ours:
                assert "invalid_field" in operation["responses"]["422"]["description"], path
