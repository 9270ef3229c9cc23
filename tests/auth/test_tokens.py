"""What a token must be to open anything (security.md, RFC 8725)."""

import asyncio
import base64
import hmac
import json
import random
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, RSAKey

from auth.tokens import (
    KEYS_MAX_AGE_S,
    LEEWAY_S,
    MAX_TOKEN_BYTES,
    RETRY_INTERVAL_S,
    UNKNOWN_KID_INTERVAL_S,
    Claims,
    InvalidToken,
    Issuer,
    KeysUnavailable,
    Reason,
    TokenNames,
    Verifier,
)
from tests.auth.fakes import Clock


def new_key() -> ECKey:
    return ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)


def public(*keys: ECKey) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in keys]}


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class World:
    """One issuer, one verifier, and what a forger can bend."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.key = new_key()
        self.published = public(self.key)
        self.reads = 0
        self.down = False
        self.verifier = Verifier(self.read, now=self.clock.unix, monotonic=self.clock.unix)

    async def read(self) -> Mapping[str, Any]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.down:
            raise OSError("no database")
        return self.published

    def issue(self, key: ECKey | None = None) -> str:
        return Issuer(TokenNames(), 1800, now=self.clock.unix).issue(key or self.key, 42, "ann")

    def forge(self, header: Mapping[str, Any] | None = None, drop: str = "", **claims: Any) -> str:
        """A token signed with the right key that is wrong in what is given."""
        now = int(self.clock.seconds)
        content: dict[str, Any] = {
            "iss": "chat-gateway",
            "aud": "chat-gateway",
            "sub": "42",
            "username": "ann",
            "iat": now,
            "exp": now + 60,
            "jti": "j",
            **claims,
        }
        content.pop(drop, None)
        full = {"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid, **(header or {})}
        return jwt.encode(full, content, self.key, algorithms=["ES256"])

    async def refusal(self, token: str) -> Reason:
        with pytest.raises(InvalidToken) as caught:
            await self.verifier.verify(token)
        assert token == "" or token not in str(caught.value) + repr(caught.value)
        assert caught.value.__cause__ is None
        return caught.value.reason


@pytest.fixture
def world() -> World:
    return World()


async def test_an_issued_token_says_who_and_how_long(world: World) -> None:
    claims = await world.verifier.verify(world.issue())
    assert claims == Claims(user_id=42, username="ann", expires_at=1_750_001_800, jti=claims.jti)
    with pytest.raises(FrozenInstanceError):
        claims.user_id = 1  # type: ignore[misc]


def test_the_content_of_a_token_is_as_documented(world: World) -> None:
    header, payload = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in world.issue().split(".")[:2])
    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": world.key.thumbprint()}
    assert len(payload.pop("jti")) >= 20
    assert payload == {
        "iss": "chat-gateway",
        "aud": "chat-gateway",
        "sub": "42",
        "username": "ann",
        "iat": 1_750_000_000,
        "exp": 1_750_001_800,
    }


async def test_no_two_tokens_share_a_jti(world: World) -> None:
    first, second = [await world.verifier.verify(world.issue()) for _ in range(2)]
    assert first.jti != second.jti


async def test_a_token_expires_after_a_leeway_of_at_most_30_s(world: World) -> None:
    token = world.issue()
    world.clock.advance(1800 + LEEWAY_S - 1)
    await world.verifier.verify(token)
    world.clock.advance(1)
    assert LEEWAY_S <= 30
    assert await world.refusal(token) is Reason.EXPIRED


CLAIMS = [
    ({"exp": 1}, Reason.EXPIRED),
    ({"exp": "soon"}, Reason.INVALID_CLAIM),
    ({"exp": True}, Reason.INVALID_CLAIM),
    ({"exp": float("inf")}, Reason.INVALID_CLAIM),
    ({"exp": float("nan")}, Reason.INVALID_CLAIM),
    ({"nbf": 1_750_000_100}, Reason.NOT_YET_VALID),
    ({"iat": 1_750_000_100}, Reason.NOT_YET_VALID),
    ({"iss": "chat-gateway.evil"}, Reason.WRONG_ISSUER),
    ({"iss": ["chat-gateway"]}, Reason.WRONG_ISSUER),
    ({"aud": "another"}, Reason.WRONG_AUDIENCE),
    ({"aud": []}, Reason.WRONG_AUDIENCE),
    ({"aud": {"chat-gateway": 1}}, Reason.WRONG_AUDIENCE),
    ({"username": 7}, Reason.INVALID_CLAIM),
    ({"jti": 7}, Reason.INVALID_CLAIM),
    *(
        ({"sub": sub}, Reason.BAD_SUBJECT)
        for sub in ["ann", "0", "-1", "042", "4.2", "4e2", " 42", "42\n", "٤٢", "9223372036854775808", "1" * 99, 42, ""]
    ),
]


@pytest.mark.parametrize(("claims", "reason"), CLAIMS, ids=lambda value: str(value)[:40])
async def test_a_wrong_claim_is_refused(world: World, claims: dict[str, Any], reason: Reason) -> None:
    assert await world.refusal(world.forge(**claims)) is reason


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "username", "iat", "exp", "jti"])
async def test_a_missing_claim_is_refused(world: World, claim: str) -> None:
    assert await world.refusal(world.forge(drop=claim)) is Reason.MISSING_CLAIM


async def test_the_greatest_user_id_is_accepted(world: World) -> None:
    assert (await world.verifier.verify(world.forge(sub=str(2**63 - 1)))).user_id == 2**63 - 1


@pytest.mark.parametrize("typ", ["JWT", "rt+jwt", "at+JWT", "", None, 7])
async def test_a_token_of_another_type_is_refused(world: World, typ: object) -> None:
    header = {"alg": "ES256", "kid": world.key.kid, "typ": typ}
    token = world.forge()
    forged = b64(json.dumps(header).encode()) + token[token.index(".") :]
    assert await world.refusal(forged) is Reason.WRONG_TYPE


async def test_a_refresh_token_of_ours_does_not_pass_for_an_access_token(world: World) -> None:
    assert await world.refusal(world.forge({"typ": "rt+jwt"})) is Reason.WRONG_TYPE


async def test_alg_none_is_refused(world: World) -> None:
    _, payload, _ = world.forge().split(".")
    header = b64(json.dumps({"alg": "none", "typ": "at+jwt", "kid": world.key.kid}).encode())
    assert await world.refusal(f"{header}.{payload}.") is Reason.WRONG_ALGORITHM


async def test_a_secret_made_of_the_public_key_signs_nothing(world: World) -> None:
    _, payload, _ = world.forge().split(".")
    header = b64(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": world.key.kid}).encode())
    for secret in (world.key.as_pem(private=False), json.dumps(world.key.as_dict(private=False)).encode()):
        signature = hmac.digest(secret, f"{header}.{payload}".encode(), "sha256")
        assert await world.refusal(f"{header}.{payload}.{b64(signature)}") is Reason.WRONG_ALGORITHM


async def test_another_algorithm_is_refused_whatever_its_key(world: World) -> None:
    rsa = RSAKey.generate_key(2048)
    token = jwt.encode({"alg": "RS256", "typ": "at+jwt", "kid": world.key.kid}, {"sub": "42"}, rsa)
    assert await world.refusal(token) is Reason.WRONG_ALGORITHM


@pytest.mark.parametrize("alg", [["ES256"], {"ES256": 1}, 7, None])
async def test_an_algorithm_that_is_no_string_is_refused(world: World, alg: object) -> None:
    header = b64(json.dumps({"alg": alg, "typ": "at+jwt", "kid": world.key.kid}).encode())
    token = world.forge()
    assert await world.refusal(header + token[token.index(".") :]) is Reason.WRONG_ALGORITHM


async def test_a_foreign_key_under_our_kid_is_a_bad_signature(world: World) -> None:
    foreign = ECKey.import_key({**new_key().as_dict(private=True), "kid": world.key.kid})
    assert foreign.kid == world.key.kid
    assert await world.refusal(world.issue(foreign)) is Reason.BAD_SIGNATURE


async def test_changed_claims_are_a_bad_signature(world: World) -> None:
    header, _, signature = world.issue().split(".")
    _, payload, _ = world.forge(sub="1").split(".")
    assert await world.refusal(f"{header}.{payload}.{signature}") is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("kid", ["http://evil.example/key", "../../etc/passwd", "/dev/null", "' OR 1=1 --", ""])
async def test_a_kid_is_only_looked_up(world: World, kid: str) -> None:
    assert await world.refusal(world.forge({"kid": kid})) is Reason.UNKNOWN_KEY
    assert world.reads == 1


async def test_headers_that_bring_a_key_are_not_read(world: World) -> None:
    foreign = new_key()
    for header in (
        {"jku": "http://127.0.0.1:9/jwks.json"},
        {"x5u": "http://127.0.0.1:9/x.pem"},
        {"jwk": foreign.as_dict(private=False)},
        {"x5c": ["MIIB"]},
    ):
        full: dict[str, Any] = {"alg": "ES256", "typ": "at+jwt", "kid": foreign.kid, **header}
        token = jwt.encode(full, {"sub": "42"}, foreign)
        assert await world.refusal(token) in (Reason.UNKNOWN_KEY, Reason.MALFORMED)
    assert world.reads == 1


DEEP = "[" * 900
MALFORMED = [
    "",
    "x",
    "a.b.c",
    "..",
    "a.b.c.d",
    "é.é.é",
    "\ud800.b.c",
    f"{b64(b'[]')}.e30.AA",
    f"{b64(b'7')}.e30.AA",
    f"{b64(b'null')}.e30.AA",
    f"{b64(json.dumps('alg').encode())}.e30.AA",
    f"{b64(b'{}')}.e30.AA",
    f"{b64(DEEP.encode())}.e30.AA",
    f"{b64(json.dumps({'alg': 'ES256', 'typ': 'at+jwt'}).encode())}.e30.AA",
    f"{b64(json.dumps({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 7}).encode())}.e30.AA",
    f"{b64(json.dumps({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 'k', 'crit': [1]}).encode())}.e30.AA",
    f"{b64(json.dumps({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 'k', 'crit': 7}).encode())}.e30.AA",
]


@pytest.mark.parametrize("token", MALFORMED, ids=range(len(MALFORMED)))
async def test_what_is_no_token_is_malformed(world: World, token: str) -> None:
    assert await world.refusal(token) is Reason.MALFORMED


async def test_a_payload_that_is_no_object_is_malformed(world: World) -> None:
    header = {"alg": "ES256", "typ": "at+jwt", "kid": world.key.kid}
    for payload in (b"[]", b"7", b"null", b"not json", b"\xff", b"", b"[" * 1500):
        token = jws.serialize_compact(header, payload, world.key)
        assert await world.refusal(token) is Reason.MALFORMED


async def test_an_oversized_token_is_refused_before_anything_is_parsed(world: World) -> None:
    assert await world.refusal("a" * (MAX_TOKEN_BYTES + 1)) is Reason.TOO_LARGE
    assert world.reads == 0


async def test_random_damage_never_raises_anything_else(world: World) -> None:
    chance = random.Random(7)
    token = world.issue()
    for _ in range(500):
        damaged = list(token)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(damaged))] = chance.choice("AZaz09-_.=é\x00\ud800")
        if "".join(damaged) == token:
            continue
        try:
            await world.verifier.verify("".join(damaged))
        except InvalidToken:
            continue
        # base64url leaves the last bits of a part unused: such a twin has the same bytes, so nothing was forged
        assert [base64.urlsafe_b64decode(p + "==") for p in "".join(damaged).split(".")] == [
            base64.urlsafe_b64decode(p + "==") for p in token.split(".")
        ]


async def test_the_keys_are_read_once_for_many_tokens_at_once(world: World) -> None:
    await asyncio.gather(*(world.verifier.verify(world.issue()) for _ in range(50)))
    assert world.reads == 1


async def test_a_key_that_another_process_published_works_at_once(world: World) -> None:
    await world.verifier.verify(world.issue())
    rotated = new_key()
    world.published = public(rotated, world.key)
    await world.verifier.verify(world.issue(rotated))
    await world.verifier.verify(world.issue())


async def test_a_thousand_unknown_kids_cost_one_read_a_minute(world: World) -> None:
    await world.verifier.verify(world.issue())
    strangers = [world.forge({"kid": f"stranger-{n}"}) for n in range(1000)]
    refusals = await asyncio.gather(*(world.refusal(token) for token in strangers[:500]))
    refusals += [await world.refusal(token) for token in strangers[500:]]
    assert set(refusals) == {Reason.UNKNOWN_KEY}
    assert world.reads == 2  # the first token's, and one for all the strangers
    world.clock.advance(UNKNOWN_KID_INTERVAL_S)
    await asyncio.gather(*(world.refusal(token) for token in strangers))
    assert world.reads == 3


async def test_a_rotated_key_is_known_within_a_minute_even_under_a_storm_of_unknown_kids(world: World) -> None:
    await world.verifier.verify(world.issue())
    await world.refusal(world.forge({"kid": "stranger"}))
    rotated = new_key()
    world.published = public(rotated, world.key)
    assert await world.refusal(world.issue(rotated)) is Reason.UNKNOWN_KEY
    world.clock.advance(KEYS_MAX_AGE_S)
    await world.verifier.verify(world.issue(rotated))


async def test_a_retired_key_is_refused_within_a_minute(world: World) -> None:
    token = world.issue()
    await world.verifier.verify(token)
    world.published = public(new_key())
    world.clock.advance(KEYS_MAX_AGE_S)
    assert await world.refusal(token) is Reason.UNKNOWN_KEY


async def test_keys_that_cannot_be_renewed_stay_in_use(world: World) -> None:
    await world.verifier.verify(world.issue())
    world.down = True
    world.clock.advance(KEYS_MAX_AGE_S)
    await world.verifier.verify(world.issue())
    with pytest.raises(KeysUnavailable):
        await world.verifier.verify(world.forge({"kid": "perhaps new"}))
    world.down = False
    world.clock.advance(RETRY_INTERVAL_S)
    assert await world.refusal(world.forge({"kid": "not new"})) is Reason.UNKNOWN_KEY


async def test_without_keys_nothing_is_said_about_a_token(world: World) -> None:
    world.down = True
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            await world.verifier.verify(world.issue())
    assert world.reads == 1
    world.down = False
    world.clock.advance(RETRY_INTERVAL_S)
    await world.verifier.verify(world.issue())


async def test_a_source_that_hangs_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth.tokens.KEYS_TIMEOUT_S", 0.05)

    async def hang() -> Mapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(KeysUnavailable):
        async with asyncio.timeout(5):
            await Verifier(hang).verify(world.issue())


async def test_a_caller_that_leaves_takes_the_read_from_nobody(world: World) -> None:
    leaving = asyncio.create_task(world.verifier.verify(world.issue()))
    staying = asyncio.create_task(world.verifier.verify(world.issue()))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).user_id == 42
    assert world.reads == 1
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_keys_of_other_kinds_in_the_document_are_left_alone(world: World) -> None:
    foreign = [
        {"kty": "oct", "k": "AAAA", "kid": "o", "alg": "HS256"},
        {"kty": "EC", "crv": "P-521", "kid": "p"},
        {"kty": "EC", "crv": "P-256", "alg": "ECDH-ES", "kid": "e"},
        {"kty": "XYZ"},
    ]
    world.published = {"keys": [*foreign, *world.published["keys"]]}
    assert (await world.verifier.verify(world.issue())).user_id == 42
    assert await world.refusal(world.forge({"kid": "o"})) is Reason.UNKNOWN_KEY
