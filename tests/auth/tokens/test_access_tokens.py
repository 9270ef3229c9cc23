"""Verification of access tokens (RFC 8725)."""

import base64
import hmac
import json
import random
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import ECKey, RSAKey

from auth.tokens.access_tokens import Claims, InvalidToken, InvalidTokenReason
from auth.tokens.jws import LEEWAY_S, MAX_TOKEN_BYTES, KnownTokens, SignedToken, TrustedKey
from auth.tokens.key_cache import KEYS_MAX_AGE_S
from tests.auth.forgery import World, b64, new_key, public


@pytest.fixture
def world() -> World:
    return World()


async def test_issued_token_has_user_and_expiry(world: World) -> None:
    claims = await world.verifier.verify(world.issue())
    assert claims == Claims(
        user_id=42, username="ann", expires_at=1_750_001_800 + LEEWAY_S, jti=claims.jti, issued_at=1_750_000_000
    )
    with pytest.raises(AttributeError):
        claims.user_id = 1  # type: ignore[misc]


def test_token_content_is_as_documented(world: World) -> None:
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


async def test_tokens_have_unique_jti(world: World) -> None:
    first, second = [await world.verifier.verify(world.issue()) for _ in range(2)]
    assert first.jti != second.jti


async def test_token_expires_after_leeway_of_at_most_30_s(world: World) -> None:
    token = world.issue()
    world.clock.advance(1800 + LEEWAY_S - 1)
    await world.verifier.verify(token)
    world.clock.advance(1)
    assert LEEWAY_S <= 30
    assert await world.refusal(token) is InvalidTokenReason.EXPIRED


CLAIMS = [
    ({"exp": 1}, InvalidTokenReason.EXPIRED),
    ({"exp": "soon"}, InvalidTokenReason.INVALID_CLAIM),
    ({"exp": True}, InvalidTokenReason.INVALID_CLAIM),
    ({"exp": float("inf")}, InvalidTokenReason.MALFORMED),
    ({"exp": float("nan")}, InvalidTokenReason.MALFORMED),
    ({"nbf": 1_750_000_100}, InvalidTokenReason.NOT_YET_VALID),
    ({"iat": 1_750_000_100}, InvalidTokenReason.NOT_YET_VALID),
    ({"iss": "chat-gateway.evil"}, InvalidTokenReason.WRONG_ISSUER),
    ({"iss": ["chat-gateway"]}, InvalidTokenReason.WRONG_ISSUER),
    ({"aud": "another"}, InvalidTokenReason.WRONG_AUDIENCE),
    ({"aud": []}, InvalidTokenReason.WRONG_AUDIENCE),
    ({"aud": {"chat-gateway": 1}}, InvalidTokenReason.WRONG_AUDIENCE),
    ({"username": 7}, InvalidTokenReason.INVALID_CLAIM),
    ({"jti": 7}, InvalidTokenReason.INVALID_CLAIM),
    *(
        ({"sub": sub}, InvalidTokenReason.BAD_SUBJECT)
        for sub in ["ann", "0", "-1", "042", "4.2", "4e2", " 42", "42\n", "٤٢", "9223372036854775808", "1" * 99, 42, ""]
    ),
]


@pytest.mark.parametrize(("claims", "reason"), CLAIMS, ids=lambda value: str(value)[:40])
async def test_wrong_claim_is_rejected(world: World, claims: dict[str, Any], reason: InvalidTokenReason) -> None:
    assert await world.refusal(world.forge(**claims)) is reason


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "username", "iat", "exp", "jti"])
async def test_missing_claim_is_rejected(world: World, claim: str) -> None:
    assert await world.refusal(world.forge(drop=claim)) is InvalidTokenReason.MISSING_CLAIM


async def test_greatest_user_id_is_accepted(world: World) -> None:
    assert (await world.verifier.verify(world.forge(sub=str(2**63 - 1)))).user_id == 2**63 - 1


@pytest.mark.parametrize("typ", ["JWT", "rt+jwt", "at+JWT", "", None, 7])
async def test_token_of_other_type_is_rejected(world: World, typ: object) -> None:
    header = {"alg": "ES256", "kid": world.key.kid, "typ": typ}
    token = world.forge()
    forged = b64(json.dumps(header).encode()) + token[token.index(".") :]
    assert await world.refusal(forged) is InvalidTokenReason.WRONG_TYPE


async def test_own_refresh_token_is_rejected_as_access_token(world: World) -> None:
    assert await world.refusal(world.forge({"typ": "rt+jwt"})) is InvalidTokenReason.WRONG_TYPE


async def test_alg_none_is_rejected(world: World) -> None:
    _, payload, _ = world.forge().split(".")
    header = b64(json.dumps({"alg": "none", "typ": "at+jwt", "kid": world.key.kid}).encode())
    assert await world.refusal(f"{header}.{payload}.") is InvalidTokenReason.WRONG_ALGORITHM


async def test_hs256_signature_with_public_key_is_rejected(world: World) -> None:
    _, payload, _ = world.forge().split(".")
    header = b64(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": world.key.kid}).encode())
    for secret in (world.key.as_pem(private=False), json.dumps(world.key.as_dict(private=False)).encode()):
        signature = hmac.digest(secret, f"{header}.{payload}".encode(), "sha256")
        assert await world.refusal(f"{header}.{payload}.{b64(signature)}") is InvalidTokenReason.WRONG_ALGORITHM


async def test_other_algorithm_is_rejected_whatever_its_key(world: World) -> None:
    rsa = RSAKey.generate_key(2048)
    token = jwt.encode({"alg": "RS256", "typ": "at+jwt", "kid": world.key.thumbprint()}, {"sub": "42"}, rsa)
    assert await world.refusal(token) is InvalidTokenReason.WRONG_ALGORITHM


@pytest.mark.parametrize("alg", [["ES256"], {"ES256": 1}, 7, None])
async def test_algorithm_that_is_not_a_string_is_rejected(world: World, alg: object) -> None:
    header = b64(json.dumps({"alg": alg, "typ": "at+jwt", "kid": world.key.kid}).encode())
    token = world.forge()
    assert await world.refusal(header + token[token.index(".") :]) is InvalidTokenReason.WRONG_ALGORITHM


async def test_foreign_key_with_our_kid_is_a_bad_signature(world: World) -> None:
    foreign = ECKey.import_key({**new_key().as_dict(private=True), "kid": world.key.thumbprint()})
    assert foreign.kid == world.key.kid
    assert await world.refusal(world.issue(foreign)) is InvalidTokenReason.BAD_SIGNATURE


async def test_changed_claims_are_a_bad_signature(world: World) -> None:
    header, _, signature = world.issue().split(".")
    _, payload, _ = world.forge(sub="1").split(".")
    assert await world.refusal(f"{header}.{payload}.{signature}") is InvalidTokenReason.BAD_SIGNATURE


async def test_known_token_vouches_for_neither_key_nor_time(world: World) -> None:
    token = world.issue()
    first = await world.verifier.verify(token)
    assert await world.verifier.verify(token) is first
    assert len(world.verifier._known) == 1
    assert await world.refusal(token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")) is (
        InvalidTokenReason.BAD_SIGNATURE
    )
    await world.verifier.verify(token)
    world.published = public(ECKey.import_key({**new_key().as_dict(private=True), "kid": world.key.kid}))
    world.clock.advance(KEYS_MAX_AGE_S)
    assert await world.refusal(token) is InvalidTokenReason.BAD_SIGNATURE
    world.published = public(world.key)
    world.clock.advance(KEYS_MAX_AGE_S)
    await world.verifier.verify(token)
    world.clock.advance(-2 * KEYS_MAX_AGE_S - LEEWAY_S - 1)
    assert await world.refusal(token) is InvalidTokenReason.NOT_YET_VALID
    world.clock.advance(2 * KEYS_MAX_AGE_S + LEEWAY_S + 1)
    await world.verifier.verify(token)
    world.clock.advance(1800 + LEEWAY_S - 2 * KEYS_MAX_AGE_S)
    assert await world.refusal(token) is InvalidTokenReason.EXPIRED
    assert len(world.verifier._known) == 0


def test_es256_is_verified_as_joserfc_does(world: World) -> None:
    key = TrustedKey(ECKey.import_key(world.key.as_dict(private=False)))
    content, _, signature = world.issue().rpartition(".")
    sound = base64.urlsafe_b64decode(signature + "==")
    chance = random.Random(5)
    changed = [
        sound,
        b"",
        sound[:63],
        sound + b"\0",
        bytes(64),
        sound[32:] + sound[:32],
        b"\xff" * 64,
        bytes(32) + sound[32:],
    ]
    changed += [bytes(byte ^ (chance.random() < 0.02) for byte in sound) for _ in range(20)]
    texts = [b64(one) for one in changed] + [signature + "=", signature[:-1] + "+", signature[:-1]]
    verdicts = []
    for text in texts:
        token = SignedToken(f"{content}.{text}")
        assert token.is_plain
        try:
            expected = jws.validate_compact(token.compact(), key.key, algorithms=["ES256"])
        except BadSignatureError:
            expected = False
        assert key.verifies(token, "ES256") is expected, text
        verdicts.append(expected)
    assert verdicts[0] and not all(verdicts)


async def test_header_with_more_parameters_is_checked_by_joserfc(world: World) -> None:
    await world.verifier.verify(world.forge({"cty": "JWT"}))
    header = {"alg": "ES256", "typ": "at+jwt", "kid": world.key.kid, "cty": 7}
    token = world.forge()
    odd = b64(json.dumps(header).encode()) + token[token.index(".") :]
    assert await world.refusal(odd) is InvalidTokenReason.MALFORMED


def test_tokens_that_came_longest_ago_are_forgotten(world: World) -> None:
    known, key = KnownTokens[str](world.clock.unix, most=2), TrustedKey(world.key)
    a, b, c = (world.forge(jti=jti) for jti in "abc")
    for text in (a, b):
        token = SignedToken(text)
        known.add(token, key, token.unverified_claims(), text)
    assert known.get(a)
    token = SignedToken(c)
    known.add(token, key, token.unverified_claims(), c)
    assert [found and found.claims for found in map(known.get, (a, b, c))] == [a, None, c]
    assert known.get("x" * (MAX_TOKEN_BYTES + 1)) is None
    assert known.get("\udcff") is None


@pytest.mark.parametrize("kid", ["http://evil.example/key", "../../etc/passwd", "/dev/null", "' OR 1=1 --", ""])
async def test_kid_is_only_looked_up(world: World, kid: str) -> None:
    assert await world.refusal(world.forge({"kid": kid})) is InvalidTokenReason.UNKNOWN_KEY
    assert world.reads == 1


async def test_keys_in_token_header_are_ignored(world: World) -> None:
    foreign = new_key()
    for header in (
        {"jku": "http://127.0.0.1:9/jwks.json"},
        {"x5u": "http://127.0.0.1:9/x.pem"},
        {"jwk": foreign.as_dict(private=False)},
        {"x5c": ["MIIB"]},
    ):
        full: dict[str, Any] = {"alg": "ES256", "typ": "at+jwt", "kid": foreign.thumbprint(), **header}
        token = jwt.encode(full, {"sub": "42"}, foreign)
        assert await world.refusal(token) in (InvalidTokenReason.UNKNOWN_KEY, InvalidTokenReason.MALFORMED)
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
async def test_arbitrary_text_is_malformed(world: World, token: str) -> None:
    assert await world.refusal(token) is InvalidTokenReason.MALFORMED


async def test_payload_that_is_not_an_object_is_malformed(world: World) -> None:
    header = {"alg": "ES256", "typ": "at+jwt", "kid": world.key.thumbprint()}
    for payload in (b"[]", b"7", b"null", b"not json", b"\xff", b"", b"[" * 1500):
        token = jws.serialize_compact(header, payload, world.key)
        assert await world.refusal(token) is InvalidTokenReason.MALFORMED


async def test_oversized_token_is_rejected_before_parsing(world: World) -> None:
    assert await world.refusal("a" * (MAX_TOKEN_BYTES + 1)) is InvalidTokenReason.TOO_LARGE
    assert world.reads == 0


async def test_random_damage_raises_only_invalid_token(world: World) -> None:
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
