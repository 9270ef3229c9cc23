"""Invalid request bodies: each gets a problem response and never an internal error."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from httpapi.body import MAX_BODY_BYTES
from tests.gateway.api.world import User, World, problem

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def ann(small_world: World) -> User:
    return await small_world.user("ann")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b"kind=group", 400, "invalid_json"),
        (b'{"kind": NaN}', 400, "invalid_json"),
        (b'{"kind": "\xff"}', 400, "invalid_json"),
        (b'{"kind": "group"} {}', 400, "invalid_json"),
        (b'{"a":' * 12_000, 400, "invalid_json"),
        (b'{"title": "\\ud800", "kind": "group"}', 422, "invalid_text"),
        (b"[" * 60_000, 400, "invalid_json"),
        (b'{"title": ' + b"[" * 32 + b"]" * 32 + b"}", 400, "invalid_json"),
        (b'{"title": ' + b"[" * 31 + b"]" * 31 + b"}", 422, "invalid_field"),
        (b"[]", 422, "invalid_field"),
        (b"null", 422, "invalid_field"),
        (b'{"kind": 1e999}', 400, "invalid_json"),
        (b" " * (MAX_BODY_BYTES + 1), 413, "too_large"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_invalid_body_is_a_client_error_problem(ann: User, body: bytes, status: int, code: str) -> None:
    problem(await ann.http.post("/api/v1/chats", content=body, headers=JSON), status, code)


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json", "\xff"]
)
async def test_json_without_json_content_type_is_rejected(ann: User, content_type: str) -> None:
    headers = {b"Content-Type": content_type.encode("latin-1")}
    answer = await ann.http.post("/api/v1/chats", content=b'{"kind": "group"}', headers=headers)
    problem(answer, 415, "unsupported_media_type")


async def test_content_type_parameters_are_ignored(ann: User) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    answer = await ann.http.post("/api/v1/chats", content=b'{"kind": "group"}', headers=headers)
    assert answer.status_code == 201


async def test_body_of_largest_size_is_read(ann: User) -> None:
    body = b'{"kind": "group"}'.ljust(MAX_BODY_BYTES)
    assert (await ann.http.post("/api/v1/chats", content=body, headers=JSON)).status_code == 201


async def test_endless_body_is_rejected_at_limit(ann: User) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * MAX_BODY_BYTES:
            sent += 1024
            yield b" " * 1024

    answer = await ann.http.post("/api/v1/chats", content=endless(), headers=JSON)
    problem(answer, 413, "too_large")
    assert sent <= MAX_BODY_BYTES + 2048


async def test_stuck_body_times_out(ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httpapi.body.TIMEOUT_S", 0.05)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        answer = await ann.http.post("/api/v1/chats", content=stuck(), headers=JSON)
    problem(answer, 408, "timeout")


async def test_missing_token_is_rejected_before_body_is_read(small_world: World) -> None:
    was_read = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal was_read
        was_read = True
        yield b"{}"

    for path in ("/api/v1/chats", "/api/v1/chats/1/members", "/api/v1/chats/1/messages"):
        problem(await small_world.http.post(path, content=body(), headers=JSON), 401, "unauthorized")
    assert not was_read
