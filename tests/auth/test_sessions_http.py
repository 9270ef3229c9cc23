"""Renewing and ending logins over HTTP, on both databases."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from auth.api.client_limits import CALLS_PER_MINUTE
from auth.app import AuthService, create_app
from auth.tokens.access_tokens import Verifier
from storage.database.database import Database
from storage.repositories.auth.accounts import Accounts
from storage.repositories.auth.login_sessions import MAX_A_USER, LoginSessions
from storage.repositories.revocations import Revocations
from tests.auth.exchange import ANN, client_of, problem, published, register

REFRESH, LOGOUT = "/api/v1/login/refresh", "/api/v1/logout"
ORIGIN = {"Origin": "http://chat.example"}


@pytest.fixture
async def http(service: AuthService) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(service)) as http:
        await register(http)
        yield http


async def log_in(http: httpx.AsyncClient, delivery: str | None = "body") -> httpx.Response:
    answer = await http.post("/login", json=ANN | ({"refresh": delivery} if delivery else {}))
    assert answer.status_code == 200, answer.text
    return answer


async def refresh(http: httpx.AsyncClient, token: str) -> httpx.Response:
    return await http.post(REFRESH, json={"refresh_token": token})


async def test_refresh_token_is_returned_where_it_was_asked_for(http: httpx.AsyncClient) -> None:
    plain, in_body = await log_in(http, None), await log_in(http, "body")
    assert set(plain.json()) == {"access_token", "token_type", "expires_in"}
    assert set(in_body.json()) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert "chat_gateway_refresh" not in plain.headers["set-cookie"] + in_body.headers["set-cookie"]
    in_cookie = await log_in(http, "cookie")
    assert "refresh_token" not in in_cookie.json()
    (cookie,) = (each for each in in_cookie.headers.get_list("set-cookie") if each.startswith("chat_gateway_refresh="))
    assert {"HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={30 * 24 * 3600}"} <= set(cookie.split("; "))
    bad = await http.post("/login", json=ANN | {"refresh": "elsewhere"})
    problem(bad, 422, "invalid_field")


async def test_cookie_is_renewed_as_cookie(http: httpx.AsyncClient) -> None:
    await log_in(http, "cookie")
    first = http.cookies["chat_gateway_refresh"]
    answer = await http.post(REFRESH, headers=ORIGIN)
    assert answer.status_code == 200
    assert "refresh_token" not in answer.json()
    assert http.cookies["chat_gateway_refresh"] != first
    assert http.cookies["access_token"] == answer.json()["access_token"]
    assert (await http.post(REFRESH, headers=ORIGIN, json={})).status_code == 200


async def test_later_login_without_cookie_deletes_the_old_one(http: httpx.AsyncClient) -> None:
    await log_in(http, "cookie")
    await log_in(http, None)
    assert "chat_gateway_refresh" not in http.cookies


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Origin": "null"}]
)
async def test_renewal_by_page_of_other_site_is_rejected(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    await log_in(http, "cookie")
    problem(await http.post(REFRESH, headers=headers), 403, "forbidden_origin")
    assert (await http.post(REFRESH, headers=ORIGIN)).status_code == 200


@pytest.mark.parametrize("origin", ["http://wiki.chat.example", "http://chat.example:81", "null"])
async def test_page_of_sibling_domain_changes_no_session(http: httpx.AsyncClient, origin: str) -> None:
    await log_in(http, "cookie")
    before = dict(http.cookies)
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}
    for path in (REFRESH, LOGOUT, "/login"):
        problem(await http.post(path, headers=headers, json=ANN if path == "/login" else {}), 403, "forbidden_origin")
    assert dict(http.cookies) == before
    assert (await http.post(REFRESH, headers=ORIGIN)).status_code == 200


async def test_reused_refresh_token_ends_the_session(http: httpx.AsyncClient, database: Database) -> None:
    first = (await log_in(http)).json()["refresh_token"]
    second = (await refresh(http, first)).json()["refresh_token"]
    third = (await refresh(http, second)).json()["refresh_token"]
    problem(await refresh(http, first), 401, "session_ended")
    problem(await refresh(http, third), 401, "session_ended")
    assert [entry.kind for entry in await Revocations(database).since(0)] == ["session"]


async def test_concurrent_renewals_get_one_successor(http: httpx.AsyncClient) -> None:
    token = (await log_in(http)).json()["refresh_token"]
    answers = await asyncio.gather(*(refresh(http, token) for _ in range(12)))
    assert {answer.status_code for answer in answers} == {200}
    (successor,) = {answer.json()["refresh_token"] for answer in answers}
    assert (await refresh(http, successor)).status_code == 200


async def test_database_holds_no_refresh_token(http: httpx.AsyncClient, database: Database) -> None:
    tokens = [(await log_in(http)).json()["refresh_token"]]
    tokens.append((await refresh(http, tokens[0])).json()["refresh_token"])
    (row,) = await database.fetch("SELECT * FROM login_sessions")
    text = " ".join(map(str, row.values()))
    assert [part for token in tokens for part in (token[3:35], token[36:]) if part in text] == []


async def test_logout_ends_the_session_of_each_kind_of_token(http: httpx.AsyncClient, database: Database) -> None:
    by_refresh, by_access, other = [(await log_in(http)).json() for _ in range(3)]
    http.cookies.clear()
    body = {"refresh_token": by_refresh["refresh_token"]}
    assert (await http.post(LOGOUT, json=body)).status_code == 204
    bearer = {"Authorization": f"Bearer {by_access['access_token']}"}
    assert (await http.post(LOGOUT, headers=bearer)).status_code == 204
    for ended in (by_refresh, by_access):
        problem(await refresh(http, ended["refresh_token"]), 401, "session_ended")
    assert (await refresh(http, other["refresh_token"])).status_code == 200
    plain = (await log_in(http, None)).json()
    assert (await http.post(LOGOUT, headers=ORIGIN)).status_code == 204  # by the cookie of that login
    assert [entry.kind for entry in await Revocations(database).since(0)] == ["session", "session", "jti"]
    assert plain["access_token"]


async def test_logout_everywhere_ends_all_sessions(http: httpx.AsyncClient) -> None:
    first, second = [(await log_in(http)).json() for _ in range(2)]
    http.cookies.clear()
    problem(await http.post(LOGOUT, json={"everywhere": True}), 401, "unauthorized")
    problem(await http.post(LOGOUT, json={"everywhere": True, "refresh_token": "rt_x"}), 401, "unauthorized")
    body = {"everywhere": True, "refresh_token": first["refresh_token"]}
    assert (await http.post(LOGOUT, json=body)).status_code == 204
    for ended in (first, second):
        problem(await refresh(http, ended["refresh_token"]), 401, "session_ended")
    assert (await refresh(http, (await log_in(http)).json()["refresh_token"])).status_code == 200


async def test_banned_user_can_neither_log_in_nor_renew(http: httpx.AsyncClient, database: Database) -> None:
    token = (await log_in(http)).json()["refresh_token"]
    account = await Accounts(database).by_login(ANN["login"])
    assert account is not None
    await Revocations(database).ban(account.person.id, None, "spam")
    problem(await http.post("/login", json=ANN), 403, "banned")
    problem(await refresh(http, token), 403, "banned")
    form = await http.post("/api/v1/login/access-token", data={"username": ANN["login"], "password": ANN["password"]})
    assert (form.status_code, form.json()["code"]) == (403, "banned")
    problem(await http.post("/login", json=ANN | {"password": "wrong horse"}), 401, "invalid_credentials")


async def test_user_has_a_bounded_number_of_sessions(http: httpx.AsyncClient, database: Database) -> None:
    sessions = LoginSessions(database)
    account = await Accounts(database).by_login(ANN["login"])
    assert account is not None
    for number in range(MAX_A_USER + 3):
        await sessions.add(account.person.id, f"{number:032x}", "ab" * 32, "d" * 64, number, 4_000_000_000)
    (row,) = await database.fetch("SELECT count(*) AS n FROM login_sessions")
    assert row["n"] == MAX_A_USER


async def test_expired_sessions_are_deleted_by_later_logins(http: httpx.AsyncClient, database: Database) -> None:
    account = await Accounts(database).by_login(ANN["login"])
    assert account is not None
    await LoginSessions(database).add(account.person.id, "0" * 32, "ab" * 32, "d" * 64, 1, 5)
    await log_in(http)
    (row,) = await database.fetch("SELECT count(*) AS n FROM login_sessions")
    assert row["n"] == 1


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_revoked_access_token_ends_nothing_any_more(http: httpx.AsyncClient, database: Database) -> None:
    stolen, owner = (await log_in(http)).json(), (await log_in(http)).json()
    http.cookies.clear()
    everywhere = {"everywhere": True}
    assert (await http.post(LOGOUT, json=everywhere, headers=bearer(owner["access_token"]))).status_code == 204
    again = (await log_in(http)).json()
    http.cookies.clear()
    for _ in range(5):
        problem(await http.post(LOGOUT, json=everywhere, headers=bearer(stolen["access_token"])), 401, "unauthorized")
        assert (await http.post(LOGOUT, headers=bearer(stolen["access_token"]))).status_code == 204
    assert len(await Revocations(database).since(0)) == 1
    assert (await refresh(http, again["refresh_token"])).status_code == 200


async def test_repeated_logouts_append_one_entry(http: httpx.AsyncClient, database: Database) -> None:
    for delivery in ("body", None):
        token = (await log_in(http, delivery)).json()["access_token"]
        http.cookies.clear()
        for _ in range(5):
            assert (await http.post(LOGOUT, headers=bearer(token))).status_code == 204
    assert [entry.kind for entry in await Revocations(database).since(0)] == ["session", "jti"]


async def test_access_token_does_not_lead_to_its_session(http: httpx.AsyncClient) -> None:
    tokens = (await log_in(http)).json()
    claims = await Verifier(lambda: published(http)).verify(tokens["access_token"])
    problem(await refresh(http, f"rt_{claims.session_id}_{'A' * 43}"), 401, "session_ended")
    assert (await refresh(http, tokens["refresh_token"])).status_code == 200


async def test_logout_of_displaced_session_revokes_its_token(http: httpx.AsyncClient, database: Database) -> None:
    token = (await log_in(http)).json()["access_token"]
    http.cookies.clear()
    account = await Accounts(database).by_login(ANN["login"])
    assert account is not None
    for number in range(MAX_A_USER):
        session_id = f"{number:032x}"
        await LoginSessions(database).add(
            account.person.id, session_id, "ab" * 32, "d" * 64, 4_000_000_000, 4_100_000_000
        )
    assert (await http.post(LOGOUT, headers=bearer(token))).status_code == 204
    assert [entry.kind for entry in await Revocations(database).since(0)] == ["session"]


async def test_renewals_of_one_client_are_limited(http: httpx.AsyncClient) -> None:
    answers = [(await refresh(http, "rt_x")).status_code for _ in range(CALLS_PER_MINUTE + 1)]
    assert answers == [401] * CALLS_PER_MINUTE + [429]


async def test_logouts_of_one_client_are_limited(http: httpx.AsyncClient) -> None:
    answers = [await http.post(LOGOUT) for _ in range(CALLS_PER_MINUTE + 1)]
    assert [answer.status_code for answer in answers[:-1]] == [204] * CALLS_PER_MINUTE
    assert "retry-after" in answers[-1].headers
    problem(answers[-1], 429, "rate_limited")
