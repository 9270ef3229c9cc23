"""Bodies that are not what they should be: a problem each, and never a fault of ours."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.http.bodies import MAX_BODY_BYTES
from tests.gateway.http.world import User, World, problem

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
        (b"[" * 60_000, 422, "invalid_field"),
        (b"[]", 422, "invalid_field"),
        (b"null", 422, "invalid_field"),
        (b'{"kind": 1e999}', 422, "invalid_field"),
        (b" " * (MAX_BODY_BYTES + 1), 413, "too_large"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_bad_body_is_a_problem_and_never_ours(ann: User, body: bytes, status: int, code: str) -> None:
    problem(await ann.http.post("/api/v1/chats", content=body, headers=JSON), status, code)


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json", "\xff"]
)
async def test_json_must_be_called_json(ann: User, content_type: str) -> None:
    headers = {b"Content-Type": content_type.encode("latin-1")}
    answer = await ann.http.post("/api/v1/chats", content=b'{"kind": "group"}', headers=headers)
    problem(answer, 415, "unsupported_media_type")


async def test_parameters_of_the_content_type_do_not_matter(ann: User) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    answer = await ann.http.post("/api/v1/chats", content=b'{"kind": "group"}', headers=headers)
    assert answer.status_code == 201


async def test_a_body_of_the_largest_size_is_read(ann: User) -> None:
    body = b'{"kind": "group"}'.ljust(MAX_BODY_BYTES)
    assert (await ann.http.post("/api/v1/chats", content=body, headers=JSON)).status_code == 201


async def test_a_body_that_never_ends_is_cut_at_the_limit(ann: User) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * MAX_BODY_BYTES:
            sent += 1024
            yield b" " * 1024

    answer = await ann.http.post("/api/v1/chats", content=endless(), headers=JSON)
    problem(answer, 413, "too_large")
    assert sent <= MAX_BODY_BYTES + 2048


async def test_a_body_that_does_not_come_is_given_up(ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth.body.TIMEOUT_S", 0.05)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        answer = await ann.http.post("/api/v1/chats", content=stuck(), headers=JSON)
    problem(answer, 408, "timeout")


async def test_who_has_no_token_is_told_so_before_the_body_is_read(small_world: World) -> None:
    was_read = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal was_read
        was_read = True
        yield b"{}"

    for path in ("/api/v1/chats", "/api/v1/chats/1/members", "/api/v1/chats/1/messages"):
        problem(await small_world.http.post(path, content=body(), headers=JSON), 401, "unauthorized")
    assert not was_read
