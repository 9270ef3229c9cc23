"""Tokens of an outside issuer: what opens anything, and every known way to forge one (security.md, RFC 8725)."""

import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from auth.compact import Compact
from auth.errors import InvalidToken, KeysUnavailable, Reason
from auth.outside import OutsideClaims, OutsideVerifier
from tests.auth.forgery import b64, new_key

SECRET = "6f" * 32
NOW = int(time.time())
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
ALGORITHMS = {"RSA": "RS256", "EC": "ES256", "OKP": "Ed25519", "oct": "HS256"}


def token(key: Key, header: Mapping[str, Any] | None = None, drop: str = "", **claims: Any) -> str:
    """A token of the outside issuer's, but for what is given."""
    content = {"iss": "https://main.example", "aud": "chat", "sub": "u-1", "exp": NOW + 7200, **claims}
    content.pop(drop, None)
    full = {"alg": ALGORITHMS[key.key_type], "typ": "JWT", **({"kid": key.kid} if key.kid else {}), **(header or {})}
    registry = jws.JWSRegistry(algorithms=[full["alg"]], strict_check_header=False)
    return jwt.encode(full, content, key, registry=registry)


def by_secret(header: Mapping[str, Any] | None = None, drop: str = "", **claims: Any) -> str:
    """The same, signed with the shared secret, without a kid."""
    return token(OctKey.import_key(SECRET), header, drop, **claims)


def verifier(
    *keys: Key, secret: str = SECRET, issuer: str = "https://main.example", audience: str = "chat", document: Any = None
) -> OutsideVerifier:
    """A verifier that trusts the secret, and these keys (or this document) if there are any."""

    async def read() -> Mapping[str, Any]:
        return document or {"keys": [key.as_dict(private=False) for key in keys]}

    read_keys = read if keys or document else None
    return OutsideVerifier(secret=secret, read_keys=read_keys, issuer=issuer, audience=audience)


async def refusal(of: OutsideVerifier, given: str) -> Reason:
    with pytest.raises(InvalidToken) as caught:
        await of.verify(given)
    assert given == "" or given not in str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is None
    return caught.value.reason


@pytest.mark.parametrize("key", [RSA, EC, ED], ids=lambda key: key.kid)
async def test_a_token_of_a_published_key_says_who(key: Key) -> None:
    claims = await verifier(RSA, EC, ED).verify(token(key))
    assert claims == OutsideClaims("https://main.example", "u-1", "u-1", NOW + 7200)


async def test_eddsa_is_known_by_its_old_name_too() -> None:
    header = b64(json.dumps({"alg": "EdDSA", "typ": "JWT", "kid": "ed"}).encode())
    payload = token(ED).split(".")[1]
    signature = ED.private_key.sign(f"{header}.{payload}".encode())  # type: ignore[union-attr]
    assert (await verifier(ED).verify(f"{header}.{payload}.{b64(signature)}")).subject == "u-1"


async def test_a_token_of_the_shared_secret_needs_no_kid() -> None:
    assert (await verifier().verify(by_secret())).subject == "u-1"
    assert (await verifier(RSA).verify(by_secret({"kid": "any"}))).subject == "u-1"


async def test_a_plain_token_is_enough_where_no_issuer_is_configured() -> None:
    plain = jwt.encode({"alg": "HS256"}, {"sub": "ann", "exp": NOW + 7200}, OctKey.import_key(SECRET))
    assert await verifier(issuer="", audience="").verify(plain) == OutsideClaims("", "ann", "ann", NOW + 7200)
    assert await refusal(verifier(), plain) is Reason.MISSING_CLAIM


async def test_a_user_is_called_by_the_first_name_that_there_is() -> None:
    names = {"preferred_username": "ann", "username": "anna", "email": "ann@example.com"}
    for expected in [*names.values(), "u-1"]:
        assert (await verifier().verify(by_secret(**names))).name == expected
        if names:
            names.pop(next(iter(names)))
    assert (await verifier().verify(by_secret(preferred_username=7, username="", email=["x"]))).name == "u-1"


CLAIMS = [
    ({"exp": NOW - 3600}, Reason.EXPIRED),
    ({"exp": "soon"}, Reason.INVALID_CLAIM),
    ({"nbf": NOW + 3600}, Reason.NOT_YET_VALID),
    ({"iat": NOW + 3600}, Reason.NOT_YET_VALID),
    ({"iss": "https://main.example.evil"}, Reason.WRONG_ISSUER),
    ({"iss": ["https://main.example"]}, Reason.WRONG_ISSUER),
    ({"aud": "another"}, Reason.WRONG_AUDIENCE),
    ({"aud": []}, Reason.WRONG_AUDIENCE),
    *(({"sub": sub}, Reason.BAD_SUBJECT) for sub in [7, "", "x" * 256, "a\x00b"]),
    *(({name: "refresh"}, Reason.WRONG_TYPE) for name in ("typ", "type", "token_type", "token_use")),
    ({"typ": "Refresh"}, Reason.WRONG_TYPE),
    ({"token_use": "id"}, Reason.WRONG_TYPE),
]


@pytest.mark.parametrize(
    ("claims", "reason"), CLAIMS, ids=[f"{', '.join(claims)}-{number}" for number, (claims, _) in enumerate(CLAIMS)]
)
async def test_a_wrong_claim_is_refused(claims: dict[str, Any], reason: Reason) -> None:
    assert await refusal(verifier(), by_secret(**claims)) is reason


@pytest.mark.parametrize("claim", ["exp", "sub", "iss", "aud"])
async def test_a_missing_claim_is_refused(claim: str) -> None:
    assert await refusal(verifier(), by_secret(drop=claim)) is Reason.MISSING_CLAIM


@pytest.mark.parametrize("iss", [7, ["x"], "x" * 256, "a\x00b"])
async def test_a_name_that_is_none_is_refused_even_where_any_issuer_will_do(iss: object) -> None:
    assert await refusal(verifier(issuer=""), by_secret(iss=iss)) in (Reason.WRONG_ISSUER, Reason.INVALID_CLAIM)


async def test_a_subject_that_cannot_be_stored_is_refused() -> None:
    payload = json.dumps({"iss": "https://main.example", "aud": "chat", "sub": "\ud800", "exp": NOW + 7200})
    given = jws.serialize_compact({"alg": "HS256"}, payload, OctKey.import_key(SECRET))
    assert await refusal(verifier(), given) is Reason.BAD_SUBJECT


async def test_one_audience_of_several_is_enough_and_other_claims_do_not_matter() -> None:
    given = by_secret(aud=["other", "chat"], typ="Bearer", type="user", scope="a b")
    assert (await verifier().verify(given)).subject == "u-1"


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
async def test_an_access_token_has_one_of_the_usual_types_or_none(typ: str) -> None:
    assert (await verifier().verify(by_secret({"typ": typ}))).subject == "u-1"


@pytest.mark.parametrize("typ", ["rt+jwt", "guest+jwt", "logout+jwt", "dpop+jwt", "", 7, None])
async def test_a_token_of_another_type_is_refused(typ: object) -> None:
    header, rest = b64(json.dumps({"alg": "HS256", "typ": typ}).encode()), by_secret().partition(".")[2]
    assert await refusal(verifier(), f"{header}.{rest}") is Reason.WRONG_TYPE


async def test_alg_none_is_refused() -> None:
    for kid in ({}, {"kid": "rsa"}):
        header = b64(json.dumps({"alg": "none", "typ": "JWT", **kid}).encode())
        payload = by_secret().split(".")[1]
        for of in (verifier(), verifier(RSA)):
            assert await refusal(of, f"{header}.{payload}.") in (Reason.WRONG_ALGORITHM, Reason.MALFORMED)


async def test_a_public_key_never_verifies_hs256_with_a_secret_or_without() -> None:
    payload = by_secret().split(".")[1]
    header = b64(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "rsa"}).encode())
    for material in (
        RSA.as_pem(private=False),
        RSA.as_der(private=False),
        json.dumps(RSA.as_dict(private=False)).encode(),
    ):
        signature = b64(hmac.digest(material, f"{header}.{payload}".encode(), "sha256"))
        forged = f"{header}.{payload}.{signature}"
        assert await refusal(verifier(RSA), forged) is Reason.BAD_SIGNATURE  # by the secret, which it is not
        assert await refusal(verifier(RSA, secret=""), forged) is Reason.WRONG_ALGORITHM


def test_a_secret_that_is_a_public_key_is_none() -> None:
    with pytest.raises(ValueError, match="public key"):
        verifier(secret=RSA.as_pem(private=False).decode())


async def test_the_secret_in_the_key_set_is_nobodys_key() -> None:
    octet = OctKey.import_key("x" * 32, {"kid": "oct"})
    of = verifier(secret="", document={"keys": [{**octet.as_dict(private=True), "alg": "HS256"}]})
    assert await refusal(of, token(octet)) is Reason.WRONG_ALGORITHM


@pytest.mark.parametrize(
    ("alg", "key"),
    [("RS384", RSA), ("PS256", RSA), ("ES256", EC), ("RS256", RSA), ("HS384", OctKey.import_key(SECRET))],
)
async def test_an_algorithm_that_is_not_the_keys_is_refused(alg: str, key: Key) -> None:
    victim = RSA if key is EC else EC
    swapped = token(key, {"alg": alg, "kid": victim.kid})
    assert await refusal(verifier(RSA, EC), swapped) is Reason.WRONG_ALGORITHM
    own = token(key, {"alg": alg})
    if alg in ("RS384", "PS256"):  # RSA could verify it, and this key may not
        assert await refusal(verifier(RSA, EC), own) is Reason.WRONG_ALGORITHM


def test_not_even_a_good_signature_counts_under_another_algorithm() -> None:
    signed = Compact(token(RSA, {"alg": "PS256"}))
    assert signed.signed_by(RSA, "PS256")["sub"] == "u-1"
    with pytest.raises(InvalidToken, match="malformed"):
        signed.signed_by(RSA, "RS256")


async def test_a_foreign_key_under_a_known_kid_is_a_bad_signature() -> None:
    foreign = ECKey.generate_key("P-256", {"kid": "ec"})
    assert await refusal(verifier(EC), token(foreign)) is Reason.BAD_SIGNATURE


async def test_without_a_secret_or_without_keys_the_other_kind_is_refused() -> None:
    assert await refusal(verifier(RSA, secret=""), by_secret()) is Reason.WRONG_ALGORITHM
    assert await refusal(verifier(), token(RSA)) is Reason.WRONG_ALGORITHM


async def test_a_token_of_a_key_set_names_its_key() -> None:
    anonymous = RSAKey.import_key({name: part for name, part in RSA.as_dict(private=True).items() if name != "kid"})
    assert await refusal(verifier(RSA), token(anonymous)) is Reason.MALFORMED


@pytest.mark.parametrize("kid", ["http://evil.example/key", "../../etc/passwd", "/dev/null", "' OR 1=1 --", ""])
async def test_a_kid_is_only_looked_up(kid: str) -> None:
    assert await refusal(verifier(RSA), token(RSA, {"kid": kid})) is Reason.UNKNOWN_KEY


async def test_keys_in_the_header_are_not_read() -> None:
    foreign = new_key()
    for header in (
        {"jku": "http://127.0.0.1:9/"},
        {"x5u": "http://127.0.0.1:9/"},
        {"jwk": foreign.as_dict(private=False)},
    ):
        assert await refusal(verifier(EC), token(foreign, header)) is Reason.UNKNOWN_KEY
        assert (await verifier(EC).verify(token(EC, header))).subject == "u-1"


async def test_a_critical_header_is_not_ignored_and_any_other_is() -> None:
    assert (await verifier(EC).verify(token(EC, {"nonce": "x"}))).subject == "u-1"
    header, rest = {"alg": "ES256", "kid": "ec", "typ": "JWT", "crit": ["exp"]}, token(EC).partition(".")[2]
    assert await refusal(verifier(EC), b64(json.dumps(header).encode()) + "." + rest) is Reason.MALFORMED


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
async def test_a_bad_key_of_the_set_is_left_alone_and_the_others_work(bad: Any) -> None:
    named = {**bad, "kid": bad.get("kid", "bad")} if isinstance(bad, dict) else bad
    of = verifier(document={"keys": [named, RSA.as_dict(private=False)]})
    assert (await of.verify(token(RSA))).subject == "u-1"
    assert await refusal(of, token(EC)) is Reason.UNKNOWN_KEY


@pytest.mark.filterwarnings("ignore:Key size should be")  # joserfc only warns
async def test_a_small_rsa_key_is_left_alone() -> None:
    small = RSAKey.generate_key(1024, {"kid": "small"})
    forged = token(small)
    assert await refusal(verifier(document={"keys": [small.as_dict(private=False)]}), forged) is Reason.UNKNOWN_KEY


async def test_the_secret_needs_no_key_set_to_be_reachable() -> None:
    async def down() -> Mapping[str, Any]:
        raise OSError

    of = OutsideVerifier(secret=SECRET, read_keys=down, issuer="", audience="")
    assert (await of.verify(by_secret())).subject == "u-1"
    with pytest.raises(KeysUnavailable):
        await of.verify(token(RSA))


async def test_what_is_no_token_is_malformed() -> None:
    for junk in ("", "x", "a.b.c", "..", "\ud800.b.c", f"{b64(b'[]')}.e30.AA", f"{b64(b'{}')}.e30.AA"):
        assert await refusal(verifier(RSA), junk) in (Reason.MALFORMED, Reason.WRONG_ALGORITHM)
