"""Authentication over HTTP, and pages of other origins."""

import logging
from typing import Any

import httpx
import pytest

from auth.tokens.access_tokens import Issuer, TokenNames
from tests.gateway.api.world import User, World, client_of, open_world, problem

CHATS = "/api/v1/chats"


@pytest.fixture
async def ann(small_world: World) -> User:
    return await small_world.user("ann")


async def test_token_is_accepted_in_header_query_and_cookie(small_world: World, ann: User) -> None:
    ways: list[dict[str, Any]] = [
        {"headers": {"Authorization": f"Bearer {ann.token}"}},
        {"headers": {"Authorization": f"bearer  {ann.token} "}},
        {"params": {"token": ann.token}},
        {"headers": {"Cookie": f"theme=dark; access_token={ann.token}"}},
        {"params": {"token": ann.token}, "headers": {"Authorization": f"Bearer {ann.token}"}},
        {"params": {"token": ann.token}, "headers": {"Cookie": "access_token=junk"}},
    ]
    for way in ways:
        assert (await small_world.http.get(CHATS, **way)).status_code == 200, way


async def test_missing_token_is_unauthorized(small_world: World) -> None:
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer  "}, {"Authorization": "Basic YTpi"}):
        answer = await small_world.http.get(CHATS, headers=headers)
        problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_two_different_tokens_are_ambiguous(small_world: World, ann: User) -> None:
    mine = {"Authorization": f"Bearer {ann.token}"}
    ways: list[dict[str, Any]] = [
        {"headers": mine, "params": {"token": "other"}},
        {"params": [("token", ann.token), ("token", "other")]},
        {"headers": [("Authorization", f"Bearer {ann.token}"), ("Authorization", "Bearer other")]},
    ]
    for way in ways:
        problem(await small_world.http.get(CHATS, **way), 400, "ambiguous_token")


async def test_invalid_token_is_rejected_and_never_repeated(
    small_world: World, ann: User, caplog: pytest.LogCaptureFixture
) -> None:
    key = await small_world.keys.signing_key()
    header, payload, signature = ann.token.split(".")
    tokens = {
        "expired": Issuer(TokenNames(), -3600).issue(key, ann.id, "ann"),
        "forged": f"{header}.{payload}.{signature[::-1]}",
        "of another issuer": Issuer(TokenNames(issuer="elsewhere"), 600).issue(key, ann.id, "ann"),
        "for another audience": Issuer(TokenNames(audience="elsewhere"), 600).issue(key, ann.id, "ann"),
        "of nobody": Issuer(TokenNames(), 600).issue(key, 10**9, "ghost"),
        "of an absurd id": Issuer(TokenNames(), 600).issue(key, 2**70, "ghost"),
        "junk": "junk\x7f",
        "long": "a" * 50_000,
        "not ASCII": "токен",
    }
    with caplog.at_level(logging.DEBUG):
        for token in tokens.values():
            answer = await small_world.http.get(CHATS, params={"token": token})
            problem(answer, 401, "unauthorized")
            assert token not in answer.text + str(answer.headers)
    ours = "".join(str(vars(record)) for record in caplog.records if not record.name.startswith(("httpx", "httpcore")))
    assert not [name for name, token in tokens.items() if token in ours]


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "http://chat.example.evil",
        "http://evil-chat.example",
        "https://chat.example",
        "http://chat.example:8080",
        "http://chat.example@evil.example",
        "http://chаt.example",  # a Cyrillic а
    ],
)
async def test_pages_of_other_origins_are_rejected(small_world: World, ann: User, origin: str) -> None:
    headers = {"Origin": origin.encode()}
    for answer in (
        await ann.http.get(CHATS, headers=headers),  # type: ignore[arg-type]
        await ann.http.post(CHATS, json={"kind": "group"}, headers=headers),  # type: ignore[arg-type]
        await small_world.http.get(CHATS, headers=headers),  # type: ignore[arg-type]
    ):
        problem(answer, 403, "forbidden_origin")
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert (await ann.http.get(CHATS)).json() == {"chats": []}


async def test_change_by_cookie_needs_an_allowed_origin(small_world: World, ann: User) -> None:
    async with client_of(small_world.app, cookies={"access_token": ann.token}) as http:
        problem(await http.post(CHATS, json={"kind": "group"}), 403, "forbidden_origin")
        answer = await http.post(CHATS, json={"kind": "group"}, headers={"Origin": "http://chat.example"})
        assert answer.status_code == 201


@pytest.mark.parametrize(("site", "status"), [("same-origin", 200), ("none", 200), (None, 200), ("cross-site", 403)])
async def test_read_by_cookie_is_limited_to_own_site(
    small_world: World, ann: User, site: str | None, status: int
) -> None:
    headers = {} if site is None else {"Sec-Fetch-Site": site}
    async with client_of(small_world.app, cookies={"access_token": ann.token}) as http:
        assert (await http.get(CHATS, headers=headers)).status_code == status


async def test_spoofed_forwarding_headers_change_nothing(small_world: World, ann: User) -> None:
    headers = {
        "Origin": "https://evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "Forwarded": "host=evil.example;proto=https",
    }
    problem(await ann.http.get(CHATS, headers=headers), 403, "forbidden_origin")


async def test_page_of_allowed_origin_logs_in_and_calls_api(sqlite_url: str) -> None:
    page = "https://pages.example"
    async with open_world(sqlite_url, allowed_origins=[page]) as world:
        ann = await world.user("ann")
        preflight = {"Origin": page, "Access-Control-Request-Method": "POST"}
        asked: httpx.Response = await world.http.options(
            CHATS, headers=preflight | {"Access-Control-Request-Headers": "authorization,content-type"}
        )
        assert asked.status_code == 204
        assert asked.headers["access-control-allow-origin"] == page
        assert asked.headers["access-control-allow-credentials"] == "true"
        assert "POST" in asked.headers["access-control-allow-methods"]
        allowed = asked.headers["access-control-allow-headers"].lower()
        assert all(name in allowed for name in ("authorization", "content-type", "idempotency-key"))
        assert "Origin" in asked.headers["vary"]

        answer = await ann.http.post(CHATS, json={"kind": "group"}, headers={"Origin": page})
        assert answer.status_code == 201
        assert answer.headers["access-control-allow-origin"] == page
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "X-Gateway-Node" in answer.headers["access-control-expose-headers"]
        # a page may also read why it was refused
        refused = await world.http.get(CHATS, headers={"Origin": page})
        problem(refused, 401, "unauthorized")
        assert refused.headers["access-control-allow-origin"] == page
