"""Guest tokens (seed 002): what they say, who may have one, and that they are nothing but guest tokens."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from auth.app import AuthService, create_app
from auth.attempts import LocalLoginLimits
from auth.settings import AuthSettings
from auth.tokens import GUEST_LIFETIME_S, GuestClaims, GuestIssuer, InvalidToken, Reason, TokenNames, Verifier
from tests.auth.exchange import ANN, client_of, problem, published, register
from tests.auth.fakes import MemoryAccounts, MemoryKeys
from tests.auth.forgery import World

GUEST = {"username": "user1", "email": "user1@example.com", "room_id": "room1"}
KEY = "a service key that is long enough"


@pytest.fixture
def world() -> World:
    return World()


async def refusal(world: World, token: str) -> Reason:
    with pytest.raises(InvalidToken) as caught:
        await world.verifier.verify_guest(token)
    return caught.value.reason


def guest_token(world: World) -> str:
    return GuestIssuer(TokenNames(), now=world.clock.unix).issue(world.key, **GUEST)


def forge(world: World, drop: str = "", **claims: Any) -> str:
    """A guest token that is wrong in what is given."""
    given = {"aud": "chat-gateway:guests", **GUEST, **claims}
    return world.forge({"typ": "guest+jwt"}, drop, **given)


async def test_a_guest_token_says_who_where_and_how_long(world: World) -> None:
    claims = await world.verifier.verify_guest(guest_token(world))
    assert claims == GuestClaims(**GUEST, expires_at=int(world.clock.seconds) + 3600)


def test_the_content_of_a_guest_token_is_as_documented(world: World) -> None:
    header, payload = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in guest_token(world).split(".")[:2])
    assert header == {"alg": "ES256", "typ": "guest+jwt", "kid": world.key.kid}
    assert len(payload.pop("jti")) >= 20
    now = int(world.clock.seconds)
    assert payload == GUEST | {"iss": "chat-gateway", "aud": "chat-gateway:guests", "iat": now, "exp": now + 3600}


async def test_neither_kind_of_token_passes_for_the_other(world: World) -> None:
    assert await world.refusal(guest_token(world)) is Reason.WRONG_TYPE
    assert await refusal(world, world.issue()) is Reason.WRONG_TYPE


async def test_not_even_under_the_others_type(world: World) -> None:
    both = GUEST | {"sub": "42", "jti": "j"}
    assert await world.refusal(world.forge(**both, aud="chat-gateway:guests")) is Reason.WRONG_AUDIENCE
    assert await refusal(world, forge(world, aud="chat-gateway")) is Reason.WRONG_AUDIENCE


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "iat", "jti", *GUEST])
async def test_a_missing_claim_is_refused(world: World, claim: str) -> None:
    await world.verifier.verify_guest(forge(world))
    assert await refusal(world, forge(world, drop=claim)) is Reason.MISSING_CLAIM


@pytest.mark.parametrize("claim", list(GUEST))
async def test_a_claim_that_is_no_text_is_refused(world: World, claim: str) -> None:
    assert await refusal(world, forge(world, **{claim: 7})) is Reason.INVALID_CLAIM


async def test_a_guest_token_expires(world: World) -> None:
    token = guest_token(world)
    world.clock.advance(GUEST_LIFETIME_S + 60)
    assert await refusal(world, token) is Reason.EXPIRED


def auth(**settings: Any) -> AuthService:
    return AuthService(MemoryAccounts(), MemoryKeys(), LocalLoginLimits(), AuthSettings(**settings))


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """Auth that is open to guests."""
    async with client_of(create_app(auth(allow_guests=True))) as client:
        yield client


async def test_the_seeds_request_gets_the_seeds_answer(http: httpx.AsyncClient) -> None:
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
        *(("username", value) for value in ["", " ", "x" * 65, "a\x00b", "a\nb", "\u202eevil"]),
        *(
            ("email", value)
            for value in ["", "user1", "@example.com", "user1@", "a b@c", "a@b@c", "a@b\x00", "@" * 300]
        ),
        ("email", "a" * 250 + "@b.cd"),
        *(("room_id", value) for value in ["", " \n", "x" * 256, "a\x00b"]),
    ],
)
async def test_what_can_be_no_guest_is_told_which_rule_it_breaks(
    http: httpx.AsyncClient, field: str, value: str
) -> None:
    document = problem(await http.post("/generate-token", json=GUEST | {field: value}), 422, "invalid_field")
    assert [(error["field"], error["code"]) for error in document["errors"]] == [(field, f"invalid_{field}")]


@pytest.mark.parametrize(
    "guest", [{"username": "Анна", "email": "анна@почта.рф", "room_id": "комната 🏠"}, {"room_id": "x" * 255}]
)
async def test_names_of_any_script_are_kept_as_they_are(http: httpx.AsyncClient, guest: dict[str, str]) -> None:
    token = (await http.post("/generate-token", json=GUEST | guest)).json()["token"]
    claims = await Verifier(lambda: published(http)).verify_guest(token)
    assert {"username": claims.username, "email": claims.email, "room_id": claims.room_id} == GUEST | guest


async def test_a_body_of_another_shape_is_refused(http: httpx.AsyncClient) -> None:
    for field in GUEST:
        problem(await http.post("/generate-token", json=GUEST | {field: 7}), 422, "invalid_field")
        body = {name: value for name, value in GUEST.items() if name != field}
        problem(await http.post("/generate-token", json=body), 422, "invalid_field")


async def test_where_guests_are_not_let_in_a_service_lets_them_in() -> None:
    async with client_of(create_app(auth(service_keys=(KEY,)))) as http:
        for headers in ({}, {"X-Service-Key": ""}, {"X-Service-Key": KEY + "x"}):
            problem(await http.post("/generate-token", json=GUEST, headers=headers), 403, "forbidden")
        answer = await http.post("/generate-token", json=GUEST, headers={"X-Service-Key": KEY})
        assert answer.status_code == 200


async def test_a_guest_cannot_be_what_a_user_is(http: httpx.AsyncClient) -> None:
    await register(http)
    guest = (await http.post("/generate-token", json=GUEST | {"username": ANN["login"]})).json()["token"]
    with pytest.raises(InvalidToken):
        await Verifier(lambda: published(http)).verify(guest)


async def test_a_retired_key_stays_public_for_as_long_as_a_guest_token_may_live() -> None:
    assert AuthSettings(token_lifetime_s=60).longest_token_s == GUEST_LIFETIME_S
    assert AuthSettings(token_lifetime_s=7200).longest_token_s == 7200
