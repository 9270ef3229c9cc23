"""Changing a password over HTTP, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx
import pytest

from auth.accounts.login_limits import PER_CLIENT_AND_ACCOUNT
from auth.app import AuthService, create_app
from auth.credentials.password_change import CHANGES_PER_HOUR
from storage.database.database import Database
from storage.repositories.auth.accounts import Accounts
from storage.repositories.revocations import Revocations
from tests.auth.exchange import ANN, client_of, problem, register

NEW = "battery staple"


@pytest.fixture
async def http(service: AuthService) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(service)) as http:
        await register(http)
        yield http


async def log_in(http: httpx.AsyncClient, password: str = ANN["password"], **more: Any) -> dict[str, Any]:
    answer = await http.post("/login", json=ANN | {"password": password} | more)
    assert answer.status_code == 200, answer.text
    http.cookies.clear()
    tokens: dict[str, Any] = answer.json()
    return tokens


async def change(http: httpx.AsyncClient, tokens: dict[str, Any], current: str, new: str = NEW) -> httpx.Response:
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    body = {"current_password": current, "new_password": new}
    return await http.post("/api/v1/password", json=body, headers=headers)


async def refreshed(http: httpx.AsyncClient, tokens: dict[str, Any]) -> int:
    answer = await http.post("/api/v1/login/refresh", json={"refresh_token": tokens["refresh_token"]})
    http.cookies.clear()
    return answer.status_code


async def may_call(http: httpx.AsyncClient, tokens: dict[str, Any]) -> bool:
    """Whether the access token is valid: a valid one learns which rules a password breaks."""
    answer = await change(http, tokens, "", "")
    assert answer.status_code in (401, 422), answer.text
    return answer.status_code == 422


async def test_changed_password_replaces_the_old_one(http: httpx.AsyncClient) -> None:
    tokens = await log_in(http)
    answer = await change(http, tokens, ANN["password"])
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (204, b"", "no-store")
    problem(await http.post("/login", json=ANN), 401, "invalid_credentials")
    await log_in(http, NEW)


@pytest.mark.parametrize("renewable", [True, False])
async def test_password_change_ends_all_other_sessions(http: httpx.AsyncClient, renewable: bool) -> None:
    others = [await log_in(http, refresh="body"), await log_in(http)]
    own = await log_in(http, **({"refresh": "body"} if renewable else {}))
    assert (await change(http, own, ANN["password"])).status_code == 204
    assert [await may_call(http, other) for other in others] == [False, False]
    assert await refreshed(http, others[0]) == 401
    assert await may_call(http, own)
    if renewable:
        assert await refreshed(http, own) == 200
    assert await may_call(http, await log_in(http, NEW))


async def test_second_change_ends_session_that_first_spared(http: httpx.AsyncClient) -> None:
    first = await log_in(http, refresh="body")
    assert (await change(http, first, ANN["password"])).status_code == 204
    second = await log_in(http, NEW, refresh="body")
    assert (await change(http, second, NEW, "another horse")).status_code == 204
    assert not await may_call(http, first)
    assert await refreshed(http, first) == 401
    assert await may_call(http, second)


async def test_wrong_current_password_changes_nothing(http: httpx.AsyncClient, database: Database) -> None:
    tokens = await log_in(http)
    problem(await change(http, tokens, "wrong horse"), 403, "wrong_password")
    assert await Revocations(database).since(0) == []
    await log_in(http)


async def test_guesses_of_current_password_are_limited(http: httpx.AsyncClient) -> None:
    tokens = await log_in(http)
    answers = await asyncio.gather(*(change(http, tokens, f"wrong {n}") for n in range(PER_CLIENT_AND_ACCOUNT + 3)))
    assert sorted(answer.status_code for answer in answers) == [403] * PER_CLIENT_AND_ACCOUNT + [429] * 3
    problem(await change(http, tokens, ANN["password"]), 429, "rate_limited")
    problem(await http.post("/login", json=ANN), 429, "rate_limited")


async def test_changes_of_one_user_are_limited(http: httpx.AsyncClient) -> None:
    tokens = await log_in(http)
    passwords = [ANN["password"], *(f"battery staple {number}" for number in range(CHANGES_PER_HOUR))]
    for current, new in pairwise(passwords):
        assert (await change(http, tokens, current, new)).status_code == 204
    problem(await change(http, tokens, passwords[-1]), 429, "rate_limited")


async def test_new_password_has_the_rules_of_registration(http: httpx.AsyncClient) -> None:
    document = problem(await change(http, await log_in(http), ANN["password"], "password"), 422, "invalid_field")
    assert [(error["field"], error["code"]) for error in document["errors"]] == [("new_password", "too_common")]


async def test_concurrent_changes_succeed_once(http: httpx.AsyncClient) -> None:
    tokens = await log_in(http)
    news = [f"{NEW} {number}" for number in range(4)]
    answers = await asyncio.gather(*(change(http, tokens, ANN["password"], new) for new in news))
    assert sorted(answer.status_code for answer in answers) == [204, 403, 403, 403]
    winner = next(new for new, answer in zip(news, answers, strict=True) if answer.status_code == 204)
    await log_in(http, winner)


async def test_change_needs_an_own_token_and_origin(http: httpx.AsyncClient, database: Database) -> None:
    body = {"current_password": ANN["password"], "new_password": NEW}
    problem(await http.post("/api/v1/password", json=body), 401, "unauthorized")
    tokens = await log_in(http)
    query = {"token": tokens["access_token"]}
    header = {"Authorization": "Bearer another"}
    problem(await http.post("/api/v1/password", json=body, params=query, headers=header), 400, "ambiguous_token")
    cookie = {"Cookie": f"access_token={tokens['access_token']}"}
    problem(await http.post("/api/v1/password", json=body, headers=cookie), 403, "forbidden_origin")
    account = await Accounts(database).by_login(ANN["login"])
    assert account is not None
    await Revocations(database).ban(account.person.id, None, "spam")
    problem(await http.post("/api/v1/password", json=body, params=query), 403, "banned")
    await Revocations(database).unban(account.person.id)
    assert (await http.post("/api/v1/password", json=body, params=query)).status_code == 204
