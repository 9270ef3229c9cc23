"""Registration, the three ways to log in and the keys, as clients see them."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette

from auth.app import AuthService, create_app
from auth.attempts import PER_ACCOUNT
from auth.errors import Overloaded
from auth.keys import KeyRing
from auth.tokens import Verifier
from storage.database import open_database
from storage.errors import StorageUnavailable
from storage.keys import SigningKeys
from storage.migrate import migrate
from tests.auth.exchange import ANN, FORM, TOKEN_PATH, client_of, problem, published, register


@pytest.fixture
def app(service: AuthService) -> Starlette:
    return create_app(service)


@pytest.fixture
async def http(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


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
    async with client_of(app, scheme) as http:
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


async def test_what_can_be_no_login_is_answered_like_an_unknown_one(http: httpx.AsyncClient) -> None:
    for login in ("a", "no\x00body", "' OR 1=1 --", "\n", "я" * 300, "x" * 10_000):
        answer = await http.post("/login", json={"login": login, "password": "wrong horse"})
        problem(answer, 401, "invalid_credentials")
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


async def test_a_nul_in_a_password_or_name_reaches_no_database(http: httpx.AsyncClient) -> None:
    assert (await register(http, password="correct\x00horse")).status_code == 201
    problem(await register(http, login="bob", first_name="a\x00b"), 422, "invalid_field")


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
    async with client_of(app) as http:
        assert (await register(http)).status_code == 201
        problem(await http.post("/login", json=ANN | {"password": "wrong"}), 401, "invalid_credentials")
        problem(await http.post("/login", content=b"{"), 415, "unsupported_media_type")
        assert (await http.get("/.well-known/jwks.json")).headers["cache-control"] == "public, max-age=60"


async def test_processes_that_start_together_on_an_empty_database_agree_on_the_first_key(database_url: str) -> None:
    await migrate(database_url)
    async with open_database(database_url) as one, open_database(database_url) as two:
        rings = [KeyRing(SigningKeys(database), 1800) for database in (one, two) for _ in range(3)]
        published = await asyncio.gather(*(ring.jwks() for ring in rings))
        signing = {(await ring.signing_key()).kid for ring in rings}
    assert len(signing) == 1
    assert [[key["kid"] for key in document["keys"]] for document in published] == [list(signing)] * 6


async def test_a_key_that_one_process_adds_is_seen_by_another(database_url: str) -> None:
    await migrate(database_url)
    async with open_database(database_url) as one, open_database(database_url) as two:
        first = (await KeyRing(SigningKeys(one), 1800).signing_key()).kid
        second = await KeyRing(SigningKeys(two), 1800).rotate()
        document = await KeyRing(SigningKeys(one), 1800).jwks()
    assert [key["kid"] for key in document["keys"]] == [second, first]
