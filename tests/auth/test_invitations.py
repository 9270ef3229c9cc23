"""Registration by invitation, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from auth.app import AuthService, create_app
from auth.settings import AuthSettings
from httpapi.site import Site
from storage.database.database import Database
from storage.repositories.auth.one_use_tokens import PURGED, Invitations
from tests.auth.exchange import client_of, problem, register

KEYS = ("shop:a key of this test:users", "board:another key:chats")
KEY = {"X-Service-Key": "a key of this test"}


@pytest.fixture
def settings() -> AuthSettings:
    return AuthSettings(needs_invitation=True, service_keys=KEYS, site=Site("https://chat.example/x"))


@pytest.fixture
async def http(service: AuthService) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(service)) as http:
        yield http


async def invite(http: httpx.AsyncClient, **body: Any) -> str:
    answer = await http.post("/api/v1/invitations", json=body, headers=KEY)
    assert answer.status_code == 201, answer.text
    invitation: str = answer.json()["invitation"]
    return invitation


async def test_invitation_is_created_by_service_with_scope(http: httpx.AsyncClient, database: Database) -> None:
    answer = await http.post("/api/v1/invitations", json={"expires_in_s": 3600}, headers=KEY)
    content = answer.json()
    assert (answer.status_code, set(content)) == (201, {"invitation", "expires_at", "url"})
    assert content["url"] == f"https://chat.example/x/?invitation={content['invitation']}"
    expected = datetime.now(UTC) + timedelta(hours=1)
    assert abs(datetime.fromisoformat(content["expires_at"]) - expected) < timedelta(seconds=60)
    (row,) = await database.fetch("SELECT * FROM invitations")
    assert content["invitation"][4:] not in " ".join(map(str, row.values()))
    for headers in ({}, {"X-Service-Key": "another key"}):
        problem(await http.post("/api/v1/invitations", json={}, headers=headers), 403, "forbidden")
    for body in ({"expires_in_s": 59}, {"expires_in_s": 10**9}, {"login": "no login"}, {"logins": "ann"}):
        problem(await http.post("/api/v1/invitations", json=body, headers=KEY), 422, "invalid_field")


async def test_registration_needs_a_valid_invitation(http: httpx.AsyncClient) -> None:
    problem(await register(http), 403, "invitation_needed")
    problem(await register(http, invitation="inv_" + "x" * 43), 403, "invitation_needed")
    problem(await register(http, invitation="\ud7ff\x00"), 403, "invitation_needed")
    invitation = await invite(http)
    assert (await register(http, invitation=invitation)).status_code == 201
    problem(await register(http, login="bob", invitation=invitation), 403, "invitation_needed")


async def test_invitation_for_one_login_opens_no_other(http: httpx.AsyncClient) -> None:
    invitation = await invite(http, login="Bob")
    problem(await register(http, invitation=invitation), 403, "invitation_needed")
    assert (await register(http, login="bOB", invitation=invitation)).status_code == 201


async def test_failed_registration_keeps_the_invitation(http: httpx.AsyncClient) -> None:
    first, second = await invite(http), await invite(http)
    assert (await register(http, invitation=first)).status_code == 201
    problem(await register(http, invitation=second), 409, "login_taken")
    problem(await register(http, password="short", invitation=second), 422, "invalid_field")
    assert (await register(http, login="bob", invitation=second)).status_code == 201


async def test_concurrent_registrations_use_invitation_once(http: httpx.AsyncClient) -> None:
    invitation = await invite(http)
    answers = await asyncio.gather(*(register(http, login=f"user{n}", invitation=invitation) for n in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [403] * 7


async def test_expired_invitations_are_refused_and_deleted(http: httpx.AsyncClient, database: Database) -> None:
    invitation = await invite(http)
    await database.write("UPDATE invitations SET expires_at = 5 RETURNING digest")
    problem(await register(http, invitation=invitation), 403, "invitation_needed")
    later = Invitations(database)
    async with database.transaction() as client:
        for number in range(PURGED + 1):
            await client.execute_insert(
                f"INSERT INTO invitations (digest, login_folded, expires_at) VALUES ('{number}', '', 5)", []
            )
    await later.add("d" * 64, "", 4_000_000_000)
    (row,) = await database.fetch("SELECT count(*) AS n FROM invitations")
    assert row["n"] == 3
    await later.add("e" * 64, "", 4_000_000_000)
    (row,) = await database.fetch("SELECT count(*) AS n FROM invitations")
    assert row["n"] == 2
