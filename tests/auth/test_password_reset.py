"""Resetting a password over HTTP, with a real hook, on both databases."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from auth.accounts.counters import LocalCounters
from auth.accounts.login_limits import PER_CLIENT
from auth.app import AuthService, create_app
from auth.credentials import password_reset
from auth.credentials.password_reset import CONFIRMS, PER_ACCOUNT_AND_HOUR
from auth.credentials.reset_hook import open_reset_hook
from auth.events import AuthEvents
from auth.settings import AuthSettings
from storage.database.database import Database
from storage.repositories.auth.accounts import Accounts
from storage.repositories.auth.keys import SigningKeys
from storage.repositories.auth.login_sessions import LoginSessions
from storage.repositories.auth.one_use_tokens import RESETS_A_USER
from tests.auth.exchange import ANN, client_of, problem, register
from tests.auth.hook_server import HookServer, run_hook_server

REQUEST, CONFIRM = "/api/v1/password/reset", "/api/v1/password/reset/confirm"
NEW = "battery staple"
FAILURE = b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class World:
    """Auth with a hook; nobody serves its queue until `working`."""

    def __init__(self, service: AuthService, http: httpx.AsyncClient, hook: HookServer, results: list[str]) -> None:
        self.service = service
        self.http = http
        self.hook = hook
        self.results = results

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.service.send_resets())
        try:
            yield
        finally:
            task.cancel()

    async def token(self) -> str:
        """A token from a mail."""
        async with self.working():
            count = len(self.hook.calls)
            assert (await self.ask()).status_code == 202
            token: str = (await self.hook.mailed(count + 1))["token"]
        return token

    async def ask(self, login: str = ANN["login"]) -> httpx.Response:
        return await self.http.post(REQUEST, json={"login": login})

    async def confirm(self, token: str, password: str = NEW) -> httpx.Response:
        return await self.http.post(CONFIRM, json={"token": token, "new_password": password})

    async def log_in(self, password: str, **more: Any) -> httpx.Response:
        return await self.http.post("/login", json=ANN | {"password": password} | more)


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    results: list[str] = []
    async with run_hook_server() as hook, open_reset_hook(hook.url, "a secret") as deliver:
        service = AuthService(
            Accounts(database),
            LoginSessions(database),
            SigningKeys(database),
            LocalCounters(),
            AuthSettings(),
            AuthEvents(reset=results.append),
            send_reset=deliver,
        )
        async with client_of(create_app(service)) as http:
            await register(http)
            yield World(service, http, hook, results)
        service.close()


async def test_token_resets_the_password_once(world: World, database: Database) -> None:
    old = (await world.log_in(ANN["password"], refresh="body")).json()
    token = await world.token()
    (row,) = await database.fetch("SELECT * FROM password_resets")
    assert token[4:] not in " ".join(map(str, row.values()))
    answer = await world.confirm(token)
    assert (answer.status_code, answer.content) == (204, b"")
    problem(await world.log_in(ANN["password"]), 401, "invalid_credentials")
    assert (await world.log_in(NEW)).status_code == 200
    refreshed = await world.http.post("/api/v1/login/refresh", json={"refresh_token": old["refresh_token"]})
    problem(refreshed, 401, "session_ended")
    headers = {"Authorization": f"Bearer {old['access_token']}"}
    body = {"current_password": NEW, "new_password": NEW}
    problem(await world.http.post("/api/v1/password", json=body, headers=headers), 401, "unauthorized")
    problem(await world.confirm(token, "another horse"), 403, "invalid_reset_token")


async def test_request_does_nothing_before_its_response(world: World, database: Database) -> None:
    """So its time cannot depend on the account: the queue has a login, and the rest is the worker's."""
    answers = [await world.ask(login) for login in (ANN["login"], "nobody", "no login\x00", "я" * 300)]
    assert [(answer.status_code, answer.content, *answer.headers.items()) for answer in answers] == [
        (202, b"", *answers[0].headers.items())
    ] * 4
    assert world.hook.calls == []
    assert await database.fetch("SELECT * FROM password_resets") == []
    async with world.working():
        await world.hook.mailed()
        async with asyncio.timeout(10):
            while len(world.results) < 4:
                await asyncio.sleep(0.01)
    assert world.results == ["sent", "unknown", "unknown", "unknown"]
    assert [mail["login"] for mail in world.hook.mails] == [ANN["login"]]


async def test_concurrent_confirmations_succeed_once(world: World) -> None:
    token = await world.token()
    answers = await asyncio.gather(*(world.confirm(token, f"{NEW} {number}") for number in range(6)))
    assert sorted(answer.status_code for answer in answers) == [204] + [403] * 5


async def test_reset_uses_up_all_tokens_of_the_user(world: World) -> None:
    first, second = await world.token(), await world.token()
    assert (await world.confirm(second)).status_code == 204
    problem(await world.confirm(first), 403, "invalid_reset_token")


async def test_expired_and_superfluous_tokens_are_deleted(world: World, database: Database) -> None:
    token = await world.token()
    await database.write("UPDATE password_resets SET expires_at = 5 RETURNING digest")
    problem(await world.confirm(token), 403, "invalid_reset_token")
    accounts = Accounts(database)
    account = await accounts.by_login(ANN["login"])
    assert account is not None
    for number in range(RESETS_A_USER + 3):
        await accounts.resets.add(f"{number}", account.person.id, 4_000_000_000 + number)
    rows = await database.fetch("SELECT digest FROM password_resets ORDER BY digest")
    assert [row["digest"] for row in rows] == [str(number + 3) for number in range(RESETS_A_USER)]


async def test_rejected_password_does_not_use_up_the_token(world: World) -> None:
    token = await world.token()
    document = problem(await world.confirm(token, "password"), 422, "invalid_field")
    assert [(error["field"], error["code"]) for error in document["errors"]] == [("new_password", "too_common")]
    assert (await world.confirm(token)).status_code == 204


async def test_failed_hook_is_called_again(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(password_reset, "LONGEST_PAUSE_S", 0.01)
    caplog.set_level(logging.DEBUG)
    world.hook.responses = [FAILURE, FAILURE, world.hook.responses[0]]
    async with world.working():
        await world.ask()
        mail = await world.hook.mailed(3)
    assert (await world.confirm(mail["token"])).status_code == 204
    world.hook.responses = [FAILURE]
    async with world.working():
        await world.ask()
        async with asyncio.timeout(10):
            while "failed" not in world.results:
                await asyncio.sleep(0.01)
    assert len(world.hook.calls) == 3 + password_reset.ATTEMPTS
    records = " ".join(str(vars(record)) for record in caplog.records)
    assert "password_reset_hook_failed" in records
    assert [mail["token"] for mail in world.hook.mails if mail["token"] in records] == []


async def test_requests_are_limited_by_client_and_login(world: World) -> None:
    answers = [(await world.ask()).status_code for _ in range(PER_ACCOUNT_AND_HOUR + 1)]
    assert answers == [202] * PER_ACCOUNT_AND_HOUR + [429]
    rest = PER_CLIENT[0] - PER_ACCOUNT_AND_HOUR - 1
    answers = [(await world.ask(f"nobody{number}")).status_code for number in range(rest + 1)]
    assert answers == [202] * rest + [429]


async def test_full_queue_rejects_requests(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.service._reset, "_requests", asyncio.Queue(2))
    answers = [(await world.ask(f"nobody{number}")).status_code for number in range(3)]
    assert answers == [202, 202, 503]


async def test_confirmations_of_one_client_are_limited(world: World) -> None:
    answers = [(await world.confirm(f"pwr_{number}")).status_code for number in range(CONFIRMS + 1)]
    assert answers == [403] * CONFIRMS + [429]


async def test_reset_without_a_hook_is_refused(memory_service: AuthService) -> None:
    async with client_of(create_app(memory_service)) as http:
        problem(await http.post(REQUEST, json={"login": "ann"}), 403, "no_password_reset")
