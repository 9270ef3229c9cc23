"""Invalid request bodies: each gets a problem response and never an internal error."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from auth.app import AuthService, create_app
from httpapi.body import SMALL_BODY_BYTES
from tests.auth.exchange import ANN, TOKEN_PATH, client_of, problem, register


@pytest.fixture
async def http(memory_service: AuthService) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(memory_service)) as client:
        yield client


@pytest.mark.parametrize("path", ["/register", "/login"])
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b"login=ann", 400, "invalid_json"),
        (b'{"login": NaN, "password": 1}', 400, "invalid_json"),
        (b'{"login": "\xff", "password": "x"}', 400, "invalid_json"),
        (b'{"login": "\\ud800", "password": "correct horse"}', 422, "invalid_text"),
        (b'{"a":' * 2_500, 400, "invalid_json"),
        (b"[" * 10_000, 400, "invalid_json"),
        (b'{"login": ' + b"[" * 32 + b"]" * 32 + b"}", 400, "invalid_json"),
        (b'{"login": ' + b"[" * 31 + b"]" * 31 + b"}", 422, "invalid_field"),
        (b"[]", 422, "invalid_field"),
        (b"7", 422, "invalid_field"),
        (b"null", 422, "invalid_field"),
        (b"{}", 422, "invalid_field"),
        (b'{"login": "ann"}', 422, "invalid_field"),
        (b'{"login": 7, "password": "correct horse"}', 422, "invalid_field"),
        (b'{"login": "ann", "password": ["correct horse"]}', 422, "invalid_field"),
        (b'{"login": "ann", "password": null}', 422, "invalid_field"),
        (json.dumps({"login": "ann", "password": "x" * 30_000}).encode(), 413, "too_large"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_invalid_body_is_a_client_error_problem(
    http: httpx.AsyncClient, path: str, body: bytes, status: int, code: str
) -> None:
    answer = await http.post(path, content=body, headers={"Content-Type": "application/json"})
    problem(answer, status, code)


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json", "\xff"]
)
async def test_json_without_json_content_type_is_rejected(http: httpx.AsyncClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type.encode("latin-1")}
    for path in ("/login", "/register"):
        answer = await http.post(path, content=json.dumps(ANN).encode(), headers=headers)  # type: ignore[arg-type]
        problem(answer, 415, "unsupported_media_type")


async def test_content_type_parameters_are_ignored(http: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    answer = await http.post("/register", content=json.dumps(ANN).encode(), headers=headers)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code", "error"),
    [
        (b"{}", "application/json", 415, "unsupported_media_type", "invalid_request"),
        (b"", "multipart/form-data; boundary=x", 415, "unsupported_media_type", "invalid_request"),
        (b"username=ann&password=a&password=b", None, 400, "invalid_form", "invalid_request"),
        (b"username=%ff&password=x", None, 400, "invalid_form", "invalid_request"),
        (b"\xff=1", None, 400, "invalid_form", "invalid_request"),
        (b"&".join(b"f%d=1" % n for n in range(40)), None, 400, "invalid_form", "invalid_request"),
        (b"username=ann&password=" + b"x" * 30_000, None, 413, "too_large", "invalid_request"),
        (b"", None, 400, "invalid_request", "invalid_request"),
        (b"username=ann", None, 400, "invalid_request", "invalid_request"),
        (b"password=correct+horse", None, 400, "invalid_request", "invalid_request"),
        (b"grant_type=client_credentials", None, 400, "unsupported_grant_type", "unsupported_grant_type"),
        (b"grant_type=%22%5C%C3%A9&username=a", None, 400, "unsupported_grant_type", "unsupported_grant_type"),
        (b"grant_type=&username=&password=x", None, 400, "invalid_request", "invalid_request"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_invalid_form_is_a_problem_with_oauth2_error(
    http: httpx.AsyncClient, body: bytes, content_type: str | None, status: int, code: str, error: str
) -> None:
    headers = {"Content-Type": content_type or "application/x-www-form-urlencoded"}
    document = problem(await http.post(TOKEN_PATH, content=body, headers=headers), status, code)
    assert document["error"] == error
    assert document["error_description"]


async def test_endless_body_is_rejected_at_limit(http: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * SMALL_BODY_BYTES:
            sent += 1024
            yield b" " * 1024

    answer = await http.post("/login", content=endless(), headers={"Content-Type": "application/json"})
    problem(answer, 413, "too_large")
    assert sent <= SMALL_BODY_BYTES + 2048


async def test_stuck_body_times_out(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httpapi.body.TIMEOUT_S", 0.05)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        answer = await http.post("/login", content=stuck(), headers={"Content-Type": "application/json"})
    problem(answer, 408, "timeout")


@pytest.mark.parametrize("login", ["анна", "аnn", "ann\x00ann", "ann\nann", "ab", "x" * 65])
async def test_login_outside_allowed_characters_is_rejected(http: httpx.AsyncClient, login: str) -> None:
    problem(await register(http, login=login), 422, "invalid_field")
