"""A user's own logins over HTTP, on both databases."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from auth.app import AuthService, create_app
from storage.database.database import Database
from storage.repositories.auth.accounts import Accounts
from storage.repositories.auth.login_sessions import LoginSessions
from storage.repositories.revocations import Revocations
from tests.auth.exchange import ANN, client_of, problem, register

SESSIONS, REFRESH = "/api/v1/me/sessions", "/api/v1/login/refresh"
BOB = {"login": "bob@example.com", "password": "correct horse"}
ORIGIN = {"Origin": "http://chat.example"}


@pytest.fixture
async def http(service: AuthService) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(service)) as http:
        await register(http)
        await register(http, **BOB)
        yield http


async def log_in(http: httpx.AsyncClient, who: dict[str, str] = ANN, agent: str = "test") -> Any:
    answer = await http.post("/login", json=who | {"refresh": "body"}, headers={"User-Agent": agent})
    assert answer.status_code == 200, answer.text
    http.cookies.clear()
    return answer.json()


async def listed(http: httpx.AsyncClient, tokens: Any) -> list[dict[str, Any]]:
    answer = await http.get(SESSIONS, headers=bearer(tokens))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    sessions: list[dict[str, Any]] = answer.json()["sessions"]
    return sessions


def bearer(tokens: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def test_user_sees_own_sessions_only(http: httpx.AsyncClient) -> None:
    phone, laptop = await log_in(http, agent="phone"), await log_in(http, agent="x" * 300)
    bob = await log_in(http, BOB, "bobs")
    assert {each["user_agent"] for each in await listed(http, laptop)} == {"phone", "x" * 200}
    (current,) = (each for each in await listed(http, phone) if each["is_current"])
    assert current["user_agent"] == "phone"
    assert [each["user_agent"] for each in await listed(http, bob)] == ["bobs"]
    times = [datetime.fromisoformat(current[name]) for name in ("created_at", "used_at", "expires_at")]
    assert times == sorted(times)
    assert abs(datetime.now(UTC) - times[0]) < timedelta(minutes=5)
    assert abs(times[2] - times[0] - timedelta(days=30)) < timedelta(minutes=5)
    assert set(current) == {"id", "created_at", "used_at", "expires_at", "user_agent", "is_current"}


async def test_ended_session_is_revoked_and_listed_no_more(http: httpx.AsyncClient, database: Database) -> None:
    lost, kept = await log_in(http, agent="lost"), await log_in(http, agent="kept")
    (session_id,) = (each["id"] for each in await listed(http, kept) if each["user_agent"] == "lost")
    assert (await http.delete(f"{SESSIONS}/{session_id}", headers=bearer(kept))).status_code == 204
    assert [each["user_agent"] for each in await listed(http, kept)] == ["kept"]
    problem(await http.get(SESSIONS, headers=bearer(lost)), 401, "unauthorized")
    problem(await http.post(REFRESH, json={"refresh_token": lost["refresh_token"]}), 401, "session_ended")
    assert (await http.post(REFRESH, json={"refresh_token": kept["refresh_token"]})).status_code == 200
    assert [entry.kind for entry in await Revocations(database).since(0)] == ["session"]
    problem(await http.delete(f"{SESSIONS}/{session_id}", headers=bearer(kept)), 404, "not_found")
    assert len(await Revocations(database).since(0)) == 1


async def test_session_of_another_user_is_not_found(http: httpx.AsyncClient, database: Database) -> None:
    ann, bob = await log_in(http), await log_in(http, BOB)
    (theirs,) = await listed(http, bob)
    for session_id in (theirs["id"], "0" * 32, "x" * 5000, "%00"):
        problem(await http.delete(f"{SESSIONS}/{session_id}", headers=bearer(ann)), 404, "not_found")
    assert len(await listed(http, bob)) == 1
    assert await Revocations(database).since(0) == []


async def test_caller_without_valid_token_gets_401(http: httpx.AsyncClient) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}):
        problem(await http.get(SESSIONS, headers=headers), 401, "unauthorized")
        problem(await http.delete(f"{SESSIONS}/{'0' * 32}", headers=headers), 401, "unauthorized")
    tokens = await log_in(http)
    assert (await http.get(SESSIONS, params={"token": tokens["access_token"]})).status_code == 200
    problem(await http.get(SESSIONS, params={"limit": 1}, headers=bearer(tokens)), 422, "invalid_field")


async def test_page_of_other_site_ends_no_session(http: httpx.AsyncClient) -> None:
    (session,) = await listed(http, tokens := await log_in(http))
    http.cookies.set("access_token", tokens["access_token"])
    url = f"{SESSIONS}/{session['id']}"
    for headers in ({}, {"Origin": "http://wiki.chat.example"}):
        problem(await http.delete(url, headers=headers), 403, "forbidden_origin")
    assert (await http.delete(url, headers=ORIGIN)).status_code == 204


async def test_session_that_cannot_be_deleted_is_not_revoked(http: httpx.AsyncClient, database: Database) -> None:
    tokens = await log_in(http)
    (session,) = await listed(http, tokens)
    account = await Accounts(database).by_login(ANN["login"])
    assert account is not None
    sessions = LoginSessions(database)
    await database.write("ALTER TABLE login_sessions RENAME TO elsewhere")
    for ending in (
        sessions.end(account.person.id, session["id"], 4e9),
        sessions.end_existing(account.person.id, session["id"], 4e9),
        sessions.end_all(account.person.id),
    ):
        with pytest.raises(Exception, match="login_sessions"):
            await ending
    assert await Revocations(database).since(0) == []
    await database.write("ALTER TABLE elsewhere RENAME TO login_sessions")
    assert len(await listed(http, tokens)) == 1
