"""Hostile JSON for every reader of two real nodes: the documented error and no log entry."""

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from storage.records import ChatKind, NewMember, Role
from tests.support.chat_client import ChatClient
from tests.support.cluster import Cluster, run_cluster

KEY = "a service key of this test"
DEPTHS = (33, 255, 256, 512, 1022, 1023, 1024, 1025, 1500, 30_000)


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, sqlite_url: str) -> AsyncIterator[Cluster]:
    settings = {"SECOND_CONNECTION": "allow", "DRAIN_S": 1, "SERVICE_KEYS": KEY}
    async with run_cluster(tmp_path, redis_url, sqlite_url, **settings) as cluster:
        yield cluster
        assert [node.log for node in cluster.nodes if "Traceback" in node.log] == []


def arrays(depth: int) -> str:
    return "[" * depth + "]" * depth


def objects(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def deep_commands() -> Iterator[str]:
    """Commands with too deep a value where there should be a word, a number or nothing."""
    for depth in DEPTHS:
        for value in (arrays(depth), objects(depth)):
            if len(value) < 60_000:
                yield f'{{"type":{value}}}'
                yield f'{{"type":"message","text":{value}}}'
                yield f'{{"id":{value},"chat_id":{value},"type":"ping"}}'
    yield '{"type":' + "[" * 60_000


def odd_commands() -> Iterator[str]:
    """Values that parsers, encoders and people disagree about."""
    numbers = (
        "1e999",
        "-1e999",
        "9" * 50_000,
        "1e-999",
        "-0",
        "1" + "0" * 400,
        "0." + "9" * 50_000,
        "NaN",
        "-Infinity",
    )
    words = (
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\\u0000"',
        '"' + "x" * 60_000 + '"',
        "null",
        "true",
        '{"":""}',
        arrays(30),
    )
    for value in (*numbers, *words):
        for name in ("type", "text", "content", "id", "chat_id", "seq", "since", "client_msg_id"):
            yield f'{{"type":"message","{name}":{value}}}'
    yield '{"type":"ping","type":["ping"]}'


async def sockets(cluster: Cluster, node: int) -> dict[str, ChatClient]:
    """A socket of every dialect that reads commands."""
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    members = [NewMember(user_id=bob.id, role=Role.CLIENT), NewMember(user_id=ann.id, role=Role.MASTER)]
    service, _ = await cluster.chats.create_chat(ann.id, ChatKind.SERVICE, "test", members)
    paths = (f"/ws/chat/{chat}/", f"/ws/service-chats/{service.id}", "/channels/public", "/ws/c")
    return {path: await cluster.open(node, path, ann.token) for path in paths}


@pytest.mark.parametrize("node", [0, 1])
async def test_every_dialect_rejects_deep_json_and_keeps_socket(cluster: Cluster, node: int) -> None:
    commands = [*deep_commands()]
    for path, client in (await sockets(cluster, node)).items():
        for command in commands:
            await client.send_raw(command)
            if command.endswith("["):  # the public channel takes what is no object for text
                break
            error = await client.next("error")
            assert (error["code"], len(error["message"]) < 200) == ("invalid_json", True), (path, command[:40], error)
        await client.send(type="ping")
        await client.next("pong")


async def test_odd_values_keep_socket_open_and_get_short_errors(cluster: Cluster) -> None:
    for path, client in (await sockets(cluster, 0)).items():
        for command in odd_commands():  # fewer than the 200 in 60 s that end a socket
            await client.send_raw(command)
        await client.send(type="ping", **({"id": "last"} if path == "/ws/c" else {}))
        await client.next("pong")
        errors = client.of_type("error")
        assert errors and max(len(error["message"]) for error in errors) < 300, path


async def test_token_with_deep_json_is_invalid(cluster: Cluster) -> None:
    def segment(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    headers = ['{"alg":"ES256","typ":"at+jwt","kid":"k"}', "[" * 1500, arrays(700), objects(250), '{"alg":"HS256"}']
    async with httpx.AsyncClient() as http:
        for node in cluster.nodes:
            for header in headers:
                for claims in (arrays(1500), objects(500), '{"iss":"chat-gateway"}', '{"exp":1e999}'):
                    token = f"{segment(header)}.{segment(claims)}.{segment('x' * 64)}"
                    answer = await http.get(f"{node.url}/api/v1/chats", headers={"Authorization": f"Bearer {token}"})
                    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), (header, claims)


async def test_deep_body_is_rejected_as_invalid_json(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    headers = ann.headers | {"X-Service-Key": KEY, "Content-Type": "application/json"}
    paths = ("/api/v1/chats", f"/api/v1/chats/{chat}/messages", f"/api/v1/chats/{chat}/members", "/message")
    paths += (f"/api/v1/users/{ann.id}/send", "/api/v1/clients/c/send")
    async with httpx.AsyncClient(headers=headers) as http:
        for node in cluster.nodes:
            for path in paths:
                for depth in DEPTHS:
                    for name in ("kind", "text", "data", "content", "other"):
                        body = f'{{"{name}":{arrays(depth)}}}'
                        answer = await http.post(node.url + path, content=body)
                        if len(body) < 65_536:
                            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json"), (
                                path,
                                body[:40],
                            )
