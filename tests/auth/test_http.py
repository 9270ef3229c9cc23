"""Registration, the three ways to log in and the published keys, from the view of clients."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from auth.accounts.login_limits import PER_CLIENT_AND_ACCOUNT
from auth.app import AuthService, create_app
from auth.errors import Overloaded
from auth.tokens.access_tokens import Verifier
from auth.tokens.key_ring import KeyRing
from httpapi.security_headers import SecurityHeaders
from storage.database.database import open_database
from storage.errors import StorageUnavailable
from storage.repositories.auth.keys import SigningKeys
from tests.auth.exchange import ANN, FORM, TOKEN_PATH, client_of, problem, published, register
from tests.support.migrated import make_store


@pytest.fixture
def app(service: AuthService) -> SecurityHeaders:
    return create_app(service)


@pytest.fixture
async def http(app: SecurityHeaders) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


async def test_registration_returns_new_user(http: httpx.AsyncClient) -> None:
    answer = await register(http, first_name="Анна", last_name="O'Neill", favourite="unknown fields are ignored")
    assert answer.status_code == 201
    assert answer.json() == {"id": answer.json()["id"], "login": "ann@example.com"}
    assert isinstance(answer.json()["id"], int)


async def test_taken_login_in_other_letter_case_is_rejected(http: httpx.AsyncClient) -> None:
    await register(http)
    problem(await register(http, login="ANN@example.com"), 409, "login_taken")


async def test_racing_registrations_succeed_once(http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(register(http) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_registration_reports_every_broken_rule(http: httpx.AsyncClient) -> None:
    document = problem(await register(http, login="ann ann", password="ann ann"), 422, "invalid_field")
    assert [(error["field"], error["code"]) for error in document["errors"]] == [
        ("login", "invalid_login"),
        ("password", "too_short"),
        ("password", "same_as_login"),
    ]
    assert all(error["detail"] in document["detail"] for error in document["errors"])


async def test_login_returns_token_that_published_keys_verify(http: httpx.AsyncClient) -> None:
    user_id = (await register(http)).json()["id"]
    answer = await http.post("/login", json=ANN)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in"}
    assert (body["token_type"], body["expires_in"]) == ("bearer", 1800)

    claims = await Verifier(lambda: published(http)).verify(body["access_token"])
    assert (claims.user_id, claims.username) == (user_id, "ann@example.com")


async def test_login_ignores_letter_case_and_token_keeps_it(http: httpx.AsyncClient) -> None:
    await register(http, login="Ann")
    answer = await http.post("/login", json=ANN | {"login": "aNN"})
    claims = await Verifier(lambda: published(http)).verify(answer.json()["access_token"])
    assert claims.username == "Ann"


async def test_login_by_form_returns_token_without_cookie(http: httpx.AsyncClient) -> None:
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
async def test_login_sets_http_only_cookie(app: SecurityHeaders, scheme: str) -> None:
    async with client_of(app, scheme) as http:
        await register(http)
        answer = await http.post("/login", json=ANN)
    access, device = (cookie.split("; ") for cookie in answer.headers.get_list("set-cookie"))
    assert access[0] == f"access_token={answer.json()['access_token']}"
    expected = {"HttpOnly", "SameSite=lax", "Path=/"} | ({"Secure"} if scheme == "https" else set())
    assert set(access[1:]) == expected | {"Max-Age=1800"}
    assert device[0].startswith("chat_gateway_device=")
    assert set(device[1:]) == expected | {f"Max-Age={90 * 24 * 3600}"}


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_logout_clears_login_cookie(app: SecurityHeaders, scheme: str) -> None:
    async with client_of(app, scheme) as http:
        await register(http)
        login = await http.post("/login", json=ANN)
        answer = await http.post("/api/v1/logout", headers={"Origin": f"{scheme}://chat.example"})
        assert "access_token" not in http.cookies
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (204, b"", "no-store")
    name, *flags = answer.headers["set-cookie"].split("; ")
    assert name == 'access_token=""'
    (set_by_login, _) = login.headers.get_list("set-cookie")
    assert set(flags) - {"Max-Age=0"} == set(set_by_login.split("; ")[1:]) - {"Max-Age=1800"}


async def test_logout_without_cookie_gets_same_response(http: httpx.AsyncClient) -> None:
    for headers in ({}, {"Authorization": "Bearer expired"}):
        answer = await http.post("/api/v1/logout", headers=headers)
        assert (answer.status_code, "access_token" in answer.headers["set-cookie"]) == (204, True)


async def test_logout_with_an_unknown_parameter_is_rejected(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/v1/logout", params={"everywhere": "1", "token": "x"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
    assert "`everywhere`" in answer.json()["detail"]
    assert (await http.post("/api/v1/logout", params={"token": "x"})).status_code == 204


@pytest.mark.parametrize("path", ["/login", "/api/v1/login/access-token", "/register"])
async def test_seed_calls_ignore_unknown_parameters(http: httpx.AsyncClient, path: str) -> None:
    plain, asked = await http.post(path), await http.post(path, params={"everywhere": "1"})
    assert (asked.status_code, asked.json()) == (plain.status_code, plain.json())


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": "access_token=t"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Origin": "null"},
    ],
)
async def test_logout_by_page_of_other_site_is_rejected(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await http.post("/api/v1/logout", headers=headers)
    problem(answer, 403, "forbidden_origin")
    assert "set-cookie" not in answer.headers


async def test_wrong_password_and_unknown_login_get_same_response(http: httpx.AsyncClient) -> None:
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


async def test_invalid_login_gets_response_of_unknown_login(http: httpx.AsyncClient) -> None:
    for login in ("a", "no\x00body", "' OR 1=1 --", "\n", "я" * 300, "x" * 10_000):
        answer = await http.post("/login", json={"login": login, "password": "wrong horse"})
        problem(answer, 401, "invalid_credentials")
        answer = await http.post(TOKEN_PATH, data={"username": login, "password": "wrong horse"})
        problem(answer, 400, "invalid_credentials")


async def test_guesses_over_both_endpoints_get_429_even_if_right(
    http: httpx.AsyncClient,
) -> None:
    await register(http)
    for n in range(PER_CLIENT_AND_ACCOUNT):
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


async def test_password_spraying_is_limited_at_20th_failure(http: httpx.AsyncClient) -> None:
    answers = [
        (await http.post("/login", json={"login": f"user{n}", "password": "correct horse"})).status_code
        for n in range(20)
    ]
    assert answers == [401] * 19 + [429]


async def test_concurrent_guesses_are_verified_only_up_to_limit(http: httpx.AsyncClient) -> None:
    await register(http)
    answers = await asyncio.gather(
        *(http.post("/login", json=ANN | {"password": f"wrong horse {n}"}) for n in range(30))
    )
    assert [answer.status_code for answer in answers].count(401) <= PER_CLIENT_AND_ACCOUNT


async def test_known_device_logs_in_while_others_guess(http: httpx.AsyncClient) -> None:
    await register(http)
    assert (await http.post("/login", json=ANN)).status_code == 200  # the client keeps the device cookie
    async with client_of(http._transport.app) as stranger:  # type: ignore[attr-defined]
        while (await stranger.post("/login", json=ANN | {"password": "wrong horse"})).status_code == 401:
            pass
        problem(await stranger.post("/login", json=ANN), 429, "rate_limited")
    assert (await http.post("/login", json=ANN)).status_code == 200
    bob = await http.post("/login", json={"login": "bob", "password": "correct horse"})
    problem(bob, 401, "invalid_credentials")


async def test_successful_logins_are_not_limited(http: httpx.AsyncClient) -> None:
    await register(http)
    answers = await asyncio.gather(*(http.post("/login", json=ANN) for _ in range(30)))
    assert {answer.status_code for answer in answers} == {200}


async def test_nul_in_password_or_name_does_not_reach_database(http: httpx.AsyncClient) -> None:
    assert (await register(http, password="correct\x00horse")).status_code == 201
    problem(await register(http, login="bob", first_name="a\x00b"), 422, "invalid_field")


async def test_unknown_urls_and_methods_are_problems(http: httpx.AsyncClient) -> None:
    problem(await http.get("/nowhere"), 404, "not_found")
    answer = await http.get("/login")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


async def test_every_response_of_auth_has_security_headers(service: AuthService) -> None:
    async def broken(_: Request) -> Response:
        raise RuntimeError("the password is hunter2")

    app = create_app(service, [Route("/broken", broken, include_in_schema=False)], is_production=True)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://chat.example") as http:
        responses = [
            await register(http),
            await http.post("/login", json=ANN),
            await http.post("/login", json=ANN | {"password": "wrong horse"}),
            await http.get("/login"),
            await http.get("/login/"),
            await http.get("/nowhere"),
            await http.get("/docs"),
            await http.get("/broken"),
        ]
    assert [response.status_code for response in responses] == [201, 200, 401, 405, 307, 404, 200, 500]
    for response in responses:
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["strict-transport-security"] == "max-age=31536000"
    assert "unsafe-inline" in responses[6].headers["content-security-policy"]  # the page of the API has its own


@pytest.mark.parametrize("error", [StorageUnavailable(), Overloaded()])
async def test_overload_or_outage_is_503_with_retry_after(
    service: AuthService, http: httpx.AsyncClient, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("auth.accounts.passwords.Passwords.verify", fail)
    monkeypatch.setattr("auth.accounts.passwords.Passwords.hash", fail)
    for answer in (await register(http), await http.post("/login", json=ANN), await http.post(TOKEN_PATH, data=FORM)):
        problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1


async def test_routes_work_within_another_application(service: AuthService) -> None:
    app = Starlette(routes=service.routes())  # without our exception handlers and lifespan
    async with client_of(app) as http:
        assert (await register(http)).status_code == 201
        problem(await http.post("/login", json=ANN | {"password": "wrong"}), 401, "invalid_credentials")
        problem(await http.post("/login", content=b"{"), 415, "unsupported_media_type")
        assert (await http.get("/.well-known/jwks.json")).headers["cache-control"] == "public, max-age=60"


async def test_racing_processes_on_empty_database_share_first_key(database_url: str) -> None:
    await make_store(database_url)
    async with open_database(database_url) as one, open_database(database_url) as two:
        rings = [KeyRing(SigningKeys(database), 1800) for database in (one, two) for _ in range(3)]
        published = await asyncio.gather(*(ring.jwks() for ring in rings))
        signing = {(await ring.signing_key()).kid for ring in rings}
    assert len(signing) == 1
    assert [[key["kid"] for key in document["keys"]] for document in published] == [list(signing)] * 6


async def test_key_added_by_one_process_is_seen_by_another(database_url: str) -> None:
    await make_store(database_url)
    async with open_database(database_url) as one, open_database(database_url) as two:
        first = (await KeyRing(SigningKeys(one), 1800).signing_key()).kid
        second = await KeyRing(SigningKeys(two), 1800).rotate()
        document = await KeyRing(SigningKeys(one), 1800).jwks()
    assert [key["kid"] for key in document["keys"]] == [second, first]
