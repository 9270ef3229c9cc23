"""Verification of tokens of an external issuer, with every known forgery (RFC 8725)."""

import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from auth.errors import InvalidToken, InvalidTokenReason, KeysUnavailable
from auth.tokens.external_issuer import ExternalIssuerVerifier, OutsideClaims
from auth.tokens.jws import LEEWAY_S, SignedToken, TrustedKey
from auth.tokens.key_cache import KEYS_MAX_AGE_S
from storage.profile_records import NOTHING_CLAIMED, ClaimedProfile
from tests.auth.forgery import b64, new_key
from tests.support.external_tokens import NOW, RSA, SECRET, by_secret, token

EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})


def verifier(
    *keys: Key, secret: str = SECRET, issuer: str = "https://main.example", audience: str = "chat", document: Any = None
) -> ExternalIssuerVerifier:
    """A verifier that trusts the secret, and these keys (or this document) if there are any."""

    async def read() -> Mapping[str, Any]:
        return document or {"keys": [key.as_dict(private=False) for key in keys]}

    read_keys = read if keys or document else None
    return ExternalIssuerVerifier(secret=secret, read_keys=read_keys, issuer=issuer, audience=audience)


async def refusal(of: ExternalIssuerVerifier, given: str) -> InvalidTokenReason:
    with pytest.raises(InvalidToken) as caught:
        await of.verify(given)
    assert given == "" or given not in str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is None
    return caught.value.reason


@pytest.mark.parametrize("key", [RSA, EC, ED], ids=lambda key: key.kid)
async def test_token_of_published_key_gives_its_claims(key: Key) -> None:
    claims = await verifier(RSA, EC, ED).verify(token(key))
    assert claims == OutsideClaims("https://main.example", "u-1", "u-1", NOW + 7200 + LEEWAY_S, "", 0)


async def test_eddsa_is_accepted_by_its_old_name() -> None:
    header = b64(json.dumps({"alg": "EdDSA", "typ": "JWT", "kid": "ed"}).encode())
    payload = token(ED).split(".")[1]
    signature = ED.private_key.sign(f"{header}.{payload}".encode())  # type: ignore[union-attr]
    assert (await verifier(ED).verify(f"{header}.{payload}.{b64(signature)}")).subject == "u-1"


async def test_token_of_shared_secret_needs_no_kid() -> None:
    assert (await verifier().verify(by_secret())).subject == "u-1"
    assert (await verifier(RSA).verify(by_secret({"kid": "any"}))).subject == "u-1"


async def test_minimal_token_is_accepted_without_configured_issuer() -> None:
    plain = jwt.encode({"alg": "HS256"}, {"sub": "ann", "exp": NOW + 7200}, OctKey.import_key(SECRET))
    expected = OutsideClaims("", "ann", "ann", NOW + 7200 + LEEWAY_S, "", 0)
    assert await verifier(issuer="", audience="").verify(plain) == expected
    assert await refusal(verifier(), plain) is InvalidTokenReason.MISSING_CLAIM


async def test_profile_claims_are_kept_as_they_came() -> None:
    said = {"name": "Ann Lee", "given_name": "Ann", "family_name": "Lee", "picture": "https://example.com/a.png"}
    claims = await verifier().verify(by_secret(**said, iat=NOW - 5))
    assert claims.profile == ClaimedProfile(NOW - 5, "Ann Lee", "Ann", "Lee", "https://example.com/a.png")
    assert (await verifier().verify(by_secret(name=7, picture=None))).profile == NOTHING_CLAIMED


async def test_time_of_login_is_that_of_the_issuer() -> None:
    for said, expected in (
        ({"auth_time": NOW - 50}, NOW - 50),
        ({"auth_time": NOW - 50.5}, int(NOW - 50.5)),
        ({}, NOW - 5),
        *(({"auth_time": odd}, NOW - 5) for odd in (None, "now", [], -1, 1e300, True)),
    ):
        claims = await verifier().verify(by_secret(**said, iat=NOW - 5))
        assert claims.authenticated_at == expected, said


async def test_user_name_is_first_usable_name_claim() -> None:
    names = {"preferred_username": "ann", "username": "anna", "email": "ann@example.com"}
    for expected in [*names.values(), "u-1"]:
        assert (await verifier().verify(by_secret(**names))).name == expected
        if names:
            names.pop(next(iter(names)))
    assert (await verifier().verify(by_secret(preferred_username=7, username="", email=["x"]))).name == "u-1"
    assert (await verifier().verify(by_secret(preferred_username="\u200b", username="\u3164 "))).name == "u-1"


NO_ACCESS = (
    *("refresh-token", "refresh_token", "refreshToken", "RefreshToken", "REFRESH", "Refresh Token", "refresh.token"),
    *("refresh+jwt", "rt+jwt", "rt", "application/refresh+jwt", "jwt_refresh", "Offline", "offline-token"),
    *("urn:ietf:params:oauth:token-type:refresh_token", "urn:ietf:params:oauth:token-type:id_token"),
    *("ID", "id-token", "idToken", "id+jwt", "Logout", "logout-token", ["access", "refresh-token"]),
)
"""What issuers call tokens that are no access tokens."""

CLAIMS = [
    ({"exp": NOW - 3600}, InvalidTokenReason.EXPIRED),
    ({"exp": "soon"}, InvalidTokenReason.INVALID_CLAIM),
    ({"nbf": NOW + 3600}, InvalidTokenReason.NOT_YET_VALID),
    ({"iat": NOW + 3600}, InvalidTokenReason.NOT_YET_VALID),
    ({"iss": "https://main.example.evil"}, InvalidTokenReason.WRONG_ISSUER),
    ({"iss": ["https://main.example"]}, InvalidTokenReason.WRONG_ISSUER),
    ({"aud": "another"}, InvalidTokenReason.WRONG_AUDIENCE),
    ({"aud": []}, InvalidTokenReason.WRONG_AUDIENCE),
    *(({"sub": sub}, InvalidTokenReason.BAD_SUBJECT) for sub in [7, "", "x" * 256, "a\x00b"]),
    *(({name: "refresh"}, InvalidTokenReason.WRONG_TYPE) for name in ("typ", "type", "token_type", "token_use")),
    ({"typ": "Refresh"}, InvalidTokenReason.WRONG_TYPE),
    ({"token_use": "id"}, InvalidTokenReason.WRONG_TYPE),
    *(({"token_type": kind}, InvalidTokenReason.WRONG_TYPE) for kind in NO_ACCESS),
    *(
        ({name: "refresh-token"}, InvalidTokenReason.WRONG_TYPE)
        for name in ("Typ", "tokenType", "token-type", "TOKEN_USE")
    ),
]


@pytest.mark.parametrize(
    ("claims", "reason"), CLAIMS, ids=[f"{', '.join(claims)}-{number}" for number, (claims, _) in enumerate(CLAIMS)]
)
async def test_wrong_claim_is_rejected(claims: dict[str, Any], reason: InvalidTokenReason) -> None:
    assert await refusal(verifier(), by_secret(**claims)) is reason


@pytest.mark.parametrize("claim", ["exp", "sub", "iss", "aud"])
async def test_missing_claim_is_rejected(claim: str) -> None:
    assert await refusal(verifier(), by_secret(drop=claim)) is InvalidTokenReason.MISSING_CLAIM


@pytest.mark.parametrize("iss", [7, ["x"], "x" * 256, "a\x00b"])
async def test_invalid_issuer_is_rejected_even_if_any_is_allowed(iss: object) -> None:
    assert await refusal(verifier(issuer=""), by_secret(iss=iss)) in (
        InvalidTokenReason.WRONG_ISSUER,
        InvalidTokenReason.INVALID_CLAIM,
    )


async def test_subject_that_cannot_be_stored_is_rejected() -> None:
    payload = json.dumps({"iss": "https://main.example", "aud": "chat", "sub": "\ud800", "exp": NOW + 7200})
    given = jws.serialize_compact({"alg": "HS256"}, payload, OctKey.import_key(SECRET))
    assert await refusal(verifier(), given) is InvalidTokenReason.MALFORMED


async def test_one_matching_audience_of_several_is_enough() -> None:
    given = by_secret(aud=["other", "chat"], typ="Bearer", type="user", token_type="access-token", scope="refresh")
    assert (await verifier().verify(given)).subject == "u-1"


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
async def test_access_token_type_is_a_usual_one_or_absent(typ: str) -> None:
    assert (await verifier().verify(by_secret({"typ": typ}))).subject == "u-1"


@pytest.mark.parametrize("typ", ["rt+jwt", "guest+jwt", "logout+jwt", "dpop+jwt", "", 7, None])
async def test_token_of_other_type_is_rejected(typ: object) -> None:
    header, rest = b64(json.dumps({"alg": "HS256", "typ": typ}).encode()), by_secret().partition(".")[2]
    assert await refusal(verifier(), f"{header}.{rest}") is InvalidTokenReason.WRONG_TYPE


async def test_alg_none_is_rejected() -> None:
    for kid in ({}, {"kid": "rsa"}):
        header = b64(json.dumps({"alg": "none", "typ": "JWT", **kid}).encode())
        payload = by_secret().split(".")[1]
        for of in (verifier(), verifier(RSA)):
            assert await refusal(of, f"{header}.{payload}.") in (
                InvalidTokenReason.WRONG_ALGORITHM,
                InvalidTokenReason.MALFORMED,
            )


async def test_public_key_never_verifies_hs256() -> None:
    payload = by_secret().split(".")[1]
    header = b64(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "rsa"}).encode())
    for material in (
        RSA.as_pem(private=False),
        RSA.as_der(private=False),
        json.dumps(RSA.as_dict(private=False)).encode(),
    ):
        signature = b64(hmac.digest(material, f"{header}.{payload}".encode(), "sha256"))
        forged = f"{header}.{payload}.{signature}"
        assert (
            await refusal(verifier(RSA), forged) is InvalidTokenReason.BAD_SIGNATURE
        )  # by the secret, which it is not
        assert await refusal(verifier(RSA, secret=""), forged) is InvalidTokenReason.WRONG_ALGORITHM


def test_secret_that_is_a_public_key_is_rejected() -> None:
    with pytest.raises(ValueError, match="public key"):
        verifier(secret=RSA.as_pem(private=False).decode())


async def test_symmetric_key_in_key_set_is_ignored() -> None:
    octet = OctKey.import_key("x" * 32, {"kid": "oct"})
    of = verifier(secret="", document={"keys": [{**octet.as_dict(private=True), "alg": "HS256"}]})
    assert await refusal(of, token(octet)) is InvalidTokenReason.WRONG_ALGORITHM


@pytest.mark.parametrize(
    ("alg", "key"),
    [("RS384", RSA), ("PS256", RSA), ("ES256", EC), ("RS256", RSA), ("HS384", OctKey.import_key(SECRET))],
)
async def test_algorithm_other_than_that_of_the_key_is_rejected(alg: str, key: Key) -> None:
    victim = RSA if key is EC else EC
    swapped = token(key, {"alg": alg, "kid": victim.kid})
    assert await refusal(verifier(RSA, EC), swapped) is InvalidTokenReason.WRONG_ALGORITHM
    own = token(key, {"alg": alg})
    if alg in ("RS384", "PS256"):  # RSA could verify it, and this key may not
        assert await refusal(verifier(RSA, EC), own) is InvalidTokenReason.WRONG_ALGORITHM


def test_good_signature_under_other_algorithm_is_rejected() -> None:
    signed, key = SignedToken(token(RSA, {"alg": "PS256"})), TrustedKey(RSA)
    assert signed.signed_by(key, "PS256")["sub"] == "u-1"
    with pytest.raises(InvalidToken, match="malformed"):
        signed.signed_by(key, "RS256")


async def test_known_token_is_found_again_while_its_key_is_trusted() -> None:
    for known, text in ((verifier(RSA), token(RSA)), (verifier(), by_secret())):
        first = await known.verify(text)
        assert await known.verify(text) is first
    turns = {"keys": [RSA.as_dict(private=False)]}
    seconds = [0.0]

    async def read() -> Mapping[str, Any]:
        return turns

    of = ExternalIssuerVerifier(secret="", read_keys=read, issuer="", audience="chat", monotonic=lambda: seconds[0])
    await of.verify(token(RSA))
    turns["keys"] = [EC.as_dict(private=False)]
    seconds[0] += KEYS_MAX_AGE_S
    assert await refusal(of, token(RSA)) is InvalidTokenReason.UNKNOWN_KEY


async def test_foreign_key_with_known_kid_is_a_bad_signature() -> None:
    foreign = ECKey.generate_key("P-256", {"kid": "ec"})
    assert await refusal(verifier(EC), token(foreign)) is InvalidTokenReason.BAD_SIGNATURE


async def test_token_kind_without_configured_key_is_rejected() -> None:
    assert await refusal(verifier(RSA, secret=""), by_secret()) is InvalidTokenReason.WRONG_ALGORITHM
    assert await refusal(verifier(), token(RSA)) is InvalidTokenReason.WRONG_ALGORITHM


async def test_key_set_token_without_kid_is_malformed() -> None:
    anonymous = RSAKey.import_key({name: part for name, part in RSA.as_dict(private=True).items() if name != "kid"})
    assert await refusal(verifier(RSA), token(anonymous)) is InvalidTokenReason.MALFORMED


@pytest.mark.parametrize("kid", ["http://evil.example/key", "../../etc/passwd", "/dev/null", "' OR 1=1 --", ""])
async def test_kid_is_only_looked_up(kid: str) -> None:
    assert await refusal(verifier(RSA), token(RSA, {"kid": kid})) is InvalidTokenReason.UNKNOWN_KEY


async def test_keys_in_token_header_are_ignored() -> None:
    foreign = new_key()
    for header in (
        {"jku": "http://127.0.0.1:9/"},
        {"x5u": "http://127.0.0.1:9/"},
        {"jwk": foreign.as_dict(private=False)},
    ):
        assert await refusal(verifier(EC), token(foreign, header)) is InvalidTokenReason.UNKNOWN_KEY
        assert (await verifier(EC).verify(token(EC, header))).subject == "u-1"


async def test_critical_header_is_rejected_and_other_headers_ignored() -> None:
    assert (await verifier(EC).verify(token(EC, {"nonce": "x"}))).subject == "u-1"
    header, rest = {"alg": "ES256", "kid": "ec", "typ": "JWT", "crit": ["exp"]}, token(EC).partition(".")[2]
    assert await refusal(verifier(EC), b64(json.dumps(header).encode()) + "." + rest) is InvalidTokenReason.MALFORMED


@pytest.mark.parametrize(
    "bad",
    [
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-521"},
        {"kty": ["EC"], "crv": ["P-256"]},
        {"kty": "OKP", "crv": "Ed25519", "x": 7},
        {**EC.as_dict(private=False), "use": "enc"},
        {**EC.as_dict(private=False), "alg": "ES384"},
        {**EC.as_dict(private=False), "kid": 7},
        "no object",
    ],
    ids=[
        "cut rsa",
        "no modulus",
        "off the curve",
        "no point",
        "lists",
        "a number",
        "to encrypt",
        "p-384",
        "a kid of 7",
        "no object",
    ],
)
async def test_unusable_key_in_set_does_not_affect_others(bad: Any) -> None:
    named = {**bad, "kid": bad.get("kid", "bad")} if isinstance(bad, dict) else bad
    of = verifier(document={"keys": [named, RSA.as_dict(private=False)]})
    assert (await of.verify(token(RSA))).subject == "u-1"
    assert await refusal(of, token(EC)) is InvalidTokenReason.UNKNOWN_KEY


@pytest.mark.filterwarnings("ignore:Key size should be")  # joserfc only warns
async def test_small_rsa_key_is_ignored() -> None:
    small = RSAKey.generate_key(1024, {"kid": "small"})
    forged = token(small)
    assert (
        await refusal(verifier(document={"keys": [small.as_dict(private=False)]}), forged)
        is InvalidTokenReason.UNKNOWN_KEY
    )


async def test_shared_secret_works_while_key_set_is_unreachable() -> None:
    async def down() -> Mapping[str, Any]:
        raise OSError

    of = ExternalIssuerVerifier(secret=SECRET, read_keys=down, issuer="", audience="")
    assert (await of.verify(by_secret())).subject == "u-1"
    with pytest.raises(KeysUnavailable):
        await of.verify(token(RSA))


async def test_arbitrary_text_is_malformed() -> None:
    for junk in ("", "x", "a.b.c", "..", "\ud800.b.c", f"{b64(b'[]')}.e30.AA", f"{b64(b'{}')}.e30.AA"):
        assert await refusal(verifier(RSA), junk) in (InvalidTokenReason.MALFORMED, InvalidTokenReason.WRONG_ALGORITHM)
