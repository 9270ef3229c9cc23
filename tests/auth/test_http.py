"""Registration, the three ways to log in and the keys, as clients see them."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from auth.app import AuthService, create_app
from auth.attempts import PER_ACCOUNT
from auth.bodies import MAX_BODY_BYTES
from auth.errors import Overloaded
from auth.tokens import Verifier
from storage.errors import StorageUnavailable

TOKEN_PATH = "/api/v1/login/access-token"
ANN = {"login": "ann@example.com", "password": "correct horse"}
FORM = {"username": "ann@example.com", "password": "correct horse"}


@pytest.fixture
def app(service: AuthService) -> Starlette:
    return create_app(service)


@pytest.fixture
async def http(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://chat.example") as client:
        yield client


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document, once it is seen to be a whole one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["code"] == code
    assert document["title"]
    assert "Traceback" not in answer.text
    return document


async def published(http: httpx.AsyncClient) -> Any:
    """The JWKS document, as another service would read it."""
    return (await http.get("/.well-known/jwks.json")).json()


async def register(http: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    return await http.post("/register", json=ANN | changes)


async def test_a_registration_answers_with_the_new_user(http: httpx.AsyncClient) -> None:
    answer = await register(http, first_name="Анна", last_name="O'Neill", favourite="unknown fields are ignored")
    assert answer.status_code == 201
    assert answer.json() == {"id": answer.json()["id"], "login": "ann@example.com"}
    assert isinstance(answer.json()["id"], int)


async def test_a_login_is_taken_whatever_its_letter_case(http: httpx.AsyncClient) -> None:
    await register(http)
    problem(await register(http, login="ANN@example.com"), 409, "login_taken")


async def test_of_registrations_that_race_one_wins(http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(register(http) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_a_registration_is_told_every_rule_that_it_breaks(http: httpx.AsyncClient) -> None:
    document = problem(await register(http, login="ann ann", password="ann ann"), 422, "invalid_field")
    assert [(error["field"], error["code"]) for error in document["errors"]] == [
        ("login", "invalid_login"),
        ("password", "too_short"),
        ("password", "same_as_login"),
    ]
    assert all(error["detail"] in document["detail"] for error in document["errors"])


@pytest.mark.parametrize("login", ["анна", "аnn", "ann\x00ann", "ann\nann", "ab", "x" * 65])
async def test_logins_outside_the_allowed_characters_are_refused(http: httpx.AsyncClient, login: str) -> None:
    problem(await register(http, login=login), 422, "invalid_field")


async def test_login_gives_a_token_that_the_published_keys_verify(http: httpx.AsyncClient) -> None:
    user_id = (await register(http)).json()["id"]
    answer = await http.post("/login", json=ANN)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in"}
    assert (body["token_type"], body["expires_in"]) == ("bearer", 1800)

    claims = await Verifier(lambda: published(http)).verify(body["access_token"])
    assert (claims.user_id, claims.username) == (user_id, "ann@example.com")


async def test_the_login_is_found_in_any_letter_case_and_named_as_registered(http: httpx.AsyncClient) -> None:
    await register(http, login="Ann")
    answer = await http.post("/login", json=ANN | {"login": "aNN"})
    claims = await Verifier(lambda: published(http)).verify(answer.json()["access_token"])
    assert claims.username == "Ann"


async def test_login_by_form_gives_the_same_and_no_cookie(http: httpx.AsyncClient) -> None:
    await register(http)
    forms = [
        FORM,  # seed 000's client
        FORM | {"grant_type": "password"},
        FORM | {"grant_type": "password", "scope": "", "client_id": "string", "client_secret": "string"},  # Swagger UI
    ]
    for form in forms:
        answer = await http.post(TOKEN_PATH, data=form, headers={"Authorization": "Basic c3RyaW5nOnN0cmluZw=="})
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) == {"access_token", "token_type", "expires_in"}
        assert answer.headers["cache-control"] == "no-store"
        assert "set-cookie" not in answer.headers
        await Verifier(lambda: published(http)).verify(answer.json()["access_token"])


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_login_sets_a_cookie_that_scripts_cannot_read(app: Starlette, scheme: str) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=f"{scheme}://chat.example") as http:
        await register(http)
        answer = await http.post("/login", json=ANN)
    name, *flags = answer.headers["set-cookie"].split("; ")
    assert name == f"access_token={answer.json()['access_token']}"
    expected = {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=1800"} | ({"Secure"} if scheme == "https" else set())
    assert set(flags) == expected


async def test_a_wrong_password_and_an_unknown_login_are_answered_alike(http: httpx.AsyncClient) -> None:
    await register(http)
    known = await http.post("/login", json=ANN | {"password": "wrong horse"})
    unknown = await http.post("/login", json={"login": "nobody", "password": "wrong horse"})
    document = problem(known, 401, "invalid_credentials")
    assert document == unknown.json()
    assert known.headers["www-authenticate"] == "Bearer"
    assert dict(known.headers) == dict(unknown.headers)
    assert "set-cookie" not in known.headers

    known = await http.post(TOKEN_PATH, data=FORM | {"password": "wrong horse"})
    unknown = await http.post(TOKEN_PATH, data={"username": "nobody", "password": "wrong horse"})
    document = problem(known, 400, "invalid_credentials")  # RFC 6749 §5.2
    assert document["error"] == "invalid_grant"
    assert document["error_description"]
    assert document == unknown.json()


@pytest.mark.parametrize("login", ["a", "no\x00body", "' OR 1=1 --", "\n", "я" * 300, "x" * 10_000])
async def test_what_can_be_no_login_is_answered_like_an_unknown_one(http: httpx.AsyncClient, login: str) -> None:
    problem(await http.post("/login", json={"login": login, "password": "wrong horse"}), 401, "invalid_credentials")
    answer = await http.post(TOKEN_PATH, data={"username": login, "password": "wrong horse"})
    problem(answer, 400, "invalid_credentials")


async def test_guessing_is_stopped_with_429_over_both_ways_in_and_stops_the_right_password_too(
    http: httpx.AsyncClient,
) -> None:
    await register(http)
    for n in range(PER_ACCOUNT):
        if n % 2:
            problem(await http.post("/login", json=ANN | {"password": "wrong horse"}), 401, "invalid_credentials")
        else:
            problem(await http.post(TOKEN_PATH, data=FORM | {"password": "wrong"}), 400, "invalid_credentials")
    for body in (ANN, ANN | {"password": "wrong horse"}):
        answer = await http.post("/login", json=body)
        document = problem(answer, 429, "rate_limited")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert document["retry_after_s"] == int(answer.headers["retry-after"])
    answer = await http.post(TOKEN_PATH, data=FORM)
    document = problem(answer, 429, "rate_limited")
    assert answer.headers["retry-after"] == str(document["retry_after_s"])
    assert document["error"] == "temporarily_unavailable"


async def test_spraying_over_accounts_is_stopped_by_the_20th_failure(http: httpx.AsyncClient) -> None:
    answers = [
        (await http.post("/login", json={"login": f"user{n}", "password": "correct horse"})).status_code
        for n in range(20)
    ]
    assert answers == [401] * 19 + [429]


async def test_guesses_sent_at_once_learn_no_more_than_the_limit(http: httpx.AsyncClient) -> None:
    await register(http)
    answers = await asyncio.gather(
        *(http.post("/login", json=ANN | {"password": f"wrong horse {n}"}) for n in range(30))
    )
    assert [answer.status_code for answer in answers].count(401) <= PER_ACCOUNT


async def test_successes_are_not_limited(http: httpx.AsyncClient) -> None:
    await register(http)
    answers = await asyncio.gather(*(http.post("/login", json=ANN) for _ in range(30)))
    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.parametrize("path", ["/register", "/login"])
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b"login=ann", 400, "invalid_json"),
        (b'{"login": NaN, "password": 1}', 400, "invalid_json"),
        (b'{"login": "\xff", "password": "x"}', 400, "invalid_json"),
        (b'{"login": "\\ud800", "password": "correct horse"}', 400, "invalid_json"),
        (b'{"a":' * 2_500, 400, "invalid_json"),
        (b"[" * 10_000, 422, "invalid_field"),
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
async def test_a_bad_body_is_a_problem_and_never_ours(
    http: httpx.AsyncClient, path: str, body: bytes, status: int, code: str
) -> None:
    answer = await http.post(path, content=body, headers={"Content-Type": "application/json"})
    problem(answer, status, code)


async def test_a_nul_in_a_password_or_name_reaches_no_database(http: httpx.AsyncClient) -> None:
    assert (await register(http, password="correct\x00horse")).status_code == 201
    problem(await register(http, login="bob", first_name="a\x00b"), 422, "invalid_field")


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json", "\xff"]
)
async def test_json_must_be_called_json(http: httpx.AsyncClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type.encode("latin-1")}
    for path in ("/login", "/register"):
        answer = await http.post(path, content=json.dumps(ANN).encode(), headers=headers)  # type: ignore[arg-type]
        problem(answer, 415, "unsupported_media_type")


async def test_parameters_of_the_content_type_do_not_matter(http: httpx.AsyncClient) -> None:
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
async def test_a_bad_form_is_a_problem_that_oauth2_clients_understand(
    http: httpx.AsyncClient, body: bytes, content_type: str | None, status: int, code: str, error: str
) -> None:
    headers = {"Content-Type": content_type or "application/x-www-form-urlencoded"}
    document = problem(await http.post(TOKEN_PATH, content=body, headers=headers), status, code)
    assert document["error"] == error
    assert document["error_description"]


async def test_a_body_that_never_ends_is_cut_at_the_limit(http: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * MAX_BODY_BYTES:
            sent += 1024
            yield b" " * 1024

    answer = await http.post("/login", content=endless(), headers={"Content-Type": "application/json"})
    problem(answer, 413, "too_large")
    assert sent <= MAX_BODY_BYTES + 2048


async def test_a_body_that_does_not_come_is_given_up(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth.bodies.TIMEOUT_S", 0.05)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        answer = await http.post("/login", content=stuck(), headers={"Content-Type": "application/json"})
    problem(answer, 408, "timeout")


async def test_unknown_urls_and_methods_are_problems(http: httpx.AsyncClient) -> None:
    problem(await http.get("/nowhere"), 404, "not_found")
    answer = await http.get("/login")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("error", [StorageUnavailable(), Overloaded()])
async def test_what_cannot_be_done_now_is_503_with_retry_after(
    service: AuthService, http: httpx.AsyncClient, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("auth.passwords.Passwords.verify", fail)
    monkeypatch.setattr("auth.passwords.Passwords.hash", fail)
    for answer in (await register(http), await http.post("/login", json=ANN), await http.post(TOKEN_PATH, data=FORM)):
        problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1


async def test_the_routes_stand_among_those_of_another_application(service: AuthService) -> None:
    app = Starlette(routes=service.routes())  # without our exception handlers and lifespan
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chat.example") as http:
        assert (await register(http)).status_code == 201
        problem(await http.post("/login", json=ANN | {"password": "wrong"}), 401, "invalid_credentials")
        problem(await http.post("/login", content=b"{"), 415, "unsupported_media_type")
        assert (await http.get("/.well-known/jwks.json")).headers["cache-control"] == "public, max-age=60"
