"""Guest tokens (seed 002): their claims, the callers that get them, and their separation from access tokens."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from auth.accounts.counters import LocalCounters
from auth.api.client_limits import CALLS_PER_MINUTE
from auth.app import AuthService, create_app
from auth.settings import AuthSettings
from auth.tokens.access_tokens import (
    GUEST_LIFETIME_S,
    GuestClaims,
    GuestIssuer,
    InvalidToken,
    InvalidTokenReason,
    TokenNames,
    Verifier,
)
from auth.tokens.jws import LEEWAY_S
from tests.auth.exchange import ANN, client_of, problem, published, register
from tests.auth.fakes import Clock, MemoryAccounts, MemoryKeys, MemorySessions
from tests.auth.forgery import World

GUEST = {"username": "user1", "email": "user1@example.com", "room_id": "room1"}
KEY = "a service key that is long enough"


@pytest.fixture
def world() -> World:
    return World()


async def refusal(world: World, token: str) -> InvalidTokenReason:
    with pytest.raises(InvalidToken) as caught:
        await world.verifier.verify_guest(token)
    return caught.value.reason


def guest_token(world: World) -> str:
    return GuestIssuer(TokenNames(), now=world.clock.unix).issue(world.key, **GUEST)


def forge(world: World, drop: str = "", **claims: Any) -> str:
    """A guest token that is wrong in what is given."""
    given = {"aud": "chat-gateway:guests", **GUEST, **claims}
    return world.forge({"typ": "guest+jwt"}, drop, **given)


async def test_guest_token_has_guest_room_and_expiry(world: World) -> None:
    claims = await world.verifier.verify_guest(guest_token(world))
    assert claims == GuestClaims(**GUEST, expires_at=int(world.clock.seconds) + 3600 + LEEWAY_S)


def test_guest_token_content_is_as_documented(world: World) -> None:
    header, payload = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in guest_token(world).split(".")[:2])
    assert header == {"alg": "ES256", "typ": "guest+jwt", "kid": world.key.kid}
    assert len(payload.pop("jti")) >= 20
    now = int(world.clock.seconds)
    assert payload == GUEST | {"iss": "chat-gateway", "aud": "chat-gateway:guests", "iat": now, "exp": now + 3600}


async def test_guest_and_access_tokens_are_not_interchangeable(world: World) -> None:
    assert await world.refusal(guest_token(world)) is InvalidTokenReason.WRONG_TYPE
    assert await refusal(world, world.issue()) is InvalidTokenReason.WRONG_TYPE


async def test_token_with_type_of_other_kind_is_rejected(world: World) -> None:
    both = GUEST | {"sub": "42", "jti": "j"}
    assert await world.refusal(world.forge(**both, aud="chat-gateway:guests")) is InvalidTokenReason.WRONG_AUDIENCE
    assert await refusal(world, forge(world, aud="chat-gateway")) is InvalidTokenReason.WRONG_AUDIENCE


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "iat", "jti", *GUEST])
async def test_missing_claim_is_rejected(world: World, claim: str) -> None:
    await world.verifier.verify_guest(forge(world))
    assert await refusal(world, forge(world, drop=claim)) is InvalidTokenReason.MISSING_CLAIM


@pytest.mark.parametrize("claim", list(GUEST))
async def test_claim_that_is_not_text_is_rejected(world: World, claim: str) -> None:
    assert await refusal(world, forge(world, **{claim: 7})) is InvalidTokenReason.INVALID_CLAIM


async def test_guest_token_expires(world: World) -> None:
    token = guest_token(world)
    world.clock.advance(GUEST_LIFETIME_S + 60)
    assert await refusal(world, token) is InvalidTokenReason.EXPIRED


def auth(**settings: Any) -> AuthService:
    accounts = MemoryAccounts()
    return AuthService(
        accounts, MemorySessions(accounts, Clock()), MemoryKeys(), LocalCounters(), AuthSettings(**settings)
    )


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """Auth that is open to guests."""
    async with client_of(create_app(auth(allow_guests=True))) as client:
        yield client


async def test_seed_request_gets_seed_response(http: httpx.AsyncClient) -> None:
    answer = await http.post("/generate-token", json=GUEST)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    (token,) = answer.json().values()
    assert answer.json() == {"token": token}
    claims = await Verifier(lambda: published(http)).verify_guest(token)
    assert (claims.username, claims.email, claims.room_id) == tuple(GUEST.values())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("username", value) for value in ["", " ", "x" * 65, "a\x00b", "a\nb", "\u202eevil", "\u3164", "a\u200bb"]),
        *(
            ("email", value)
            for value in ["", "user1", "@example.com", "user1@", "a b@c", "a@b@c", "a@b\x00", "@" * 300]
        ),
        ("email", "a" * 250 + "@b.cd"),
        *(("room_id", value) for value in ["", " \n", "x" * 256, "a\x00b"]),
    ],
)
async def test_invalid_guest_field_reports_broken_rule(http: httpx.AsyncClient, field: str, value: str) -> None:
    document = problem(await http.post("/generate-token", json=GUEST | {field: value}), 422, "invalid_field")
    assert [(error["field"], error["code"]) for error in document["errors"]] == [(field, f"invalid_{field}")]


@pytest.mark.parametrize(
    "guest",
    [
        {"username": "Анна", "email": "анна@почта.рф", "room_id": "комната 🏠"},
        {"room_id": "x" * 255},
        {"username": "علی\u200cرضا\u00a0👩🏽\u200d🚀"},
    ],
)
async def test_names_of_any_script_are_kept_unchanged(http: httpx.AsyncClient, guest: dict[str, str]) -> None:
    token = (await http.post("/generate-token", json=GUEST | guest)).json()["token"]
    claims = await Verifier(lambda: published(http)).verify_guest(token)
    assert {"username": claims.username, "email": claims.email, "room_id": claims.room_id} == GUEST | guest


async def test_body_of_other_shape_is_rejected(http: httpx.AsyncClient) -> None:
    for field in GUEST:
        problem(await http.post("/generate-token", json=GUEST | {field: 7}), 422, "invalid_field")
        body = {name: value for name, value in GUEST.items() if name != field}
        problem(await http.post("/generate-token", json=body), 422, "invalid_field")


async def test_guest_token_without_open_access_needs_service_key() -> None:
    async with client_of(create_app(auth(service_keys=(KEY,)))) as http:
        for headers in ({}, {"X-Service-Key": ""}, {"X-Service-Key": KEY + "x"}):
            problem(await http.post("/generate-token", json=GUEST, headers=headers), 403, "forbidden")
        answer = await http.post("/generate-token", json=GUEST, headers={"X-Service-Key": KEY})
        assert answer.status_code == 200


async def test_guest_tokens_of_one_client_are_limited() -> None:
    async with client_of(create_app(auth(allow_guests=True, service_keys=(KEY,)))) as http:
        answers = [await http.post("/generate-token", json=GUEST) for _ in range(CALLS_PER_MINUTE + 1)]
        assert [answer.status_code for answer in answers[:-1]] == [200] * CALLS_PER_MINUTE
        problem(answers[-1], 429, "rate_limited")
        answer = await http.post("/generate-token", json=GUEST, headers={"X-Service-Key": KEY})
        assert answer.status_code == 200


async def test_guest_token_with_user_login_is_no_access_token(http: httpx.AsyncClient) -> None:
    await register(http)
    guest = (await http.post("/generate-token", json=GUEST | {"username": ANN["login"]})).json()["token"]
    with pytest.raises(InvalidToken):
        await Verifier(lambda: published(http)).verify(guest)


async def test_retired_key_is_published_for_longest_token_lifetime() -> None:
    assert AuthSettings(token_lifetime_s=60).longest_token_s == GUEST_LIFETIME_S
    assert AuthSettings(token_lifetime_s=7200).longest_token_s == 7200
