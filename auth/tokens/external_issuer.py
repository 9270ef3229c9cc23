"""Tokens of one external issuer (the "main application" of seed 000): the JWTs of its own users.

The issuer signs with keys at a JWKS URL, with a secret that it shares with us (HS256), or with both. The invariants of
`jws` and `key_cache` hold here too. The secret verifies HS256 only; public keys never verify HS256.

Issuer and audience (`iss`, `aud`) are checked if they are configured, as production requires. Without a configured
issuer a token may have any or none (`iss` is then ""): the holder of the key is trusted.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from auth.errors import InvalidToken, InvalidTokenReason
from auth.tokens.jws import KnownToken, KnownTokens, Required, SignedToken, TrustedKey, good_until, moment_in
from auth.tokens.key_cache import KeyCache, PublicKeys
from storage.blank import is_blank
from storage.profile_records import NOTHING_CLAIMED, ClaimedProfile

MAX_NAME_LENGTH: Final = 255  # of `sub` (OpenID Connect Core §2) and of `iss`
MIN_RSA_BITS: Final = 2048  # RFC 7518 §3.3

log = logging.getLogger("auth")

_SECRETS_ALGORITHM: Final = "HS256"
_ALGORITHMS: Final = {
    ("RSA", ""): ("RS256",),
    ("EC", "P-256"): ("ES256",),
    ("OKP", "Ed25519"): ("EdDSA", "Ed25519"),  # two names of one algorithm (RFC 9864)
}
"""The algorithms that keys may sign with, by `kty` and `crv`."""

_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_KINDS: Final = frozenset({"typ", "type", "tokentype", "tokenuse"})
"""Claims by which issuers without `typ` distinguish their tokens, in the form of `_folded`."""
_NO_ACCESS: Final = frozenset({"rt", "offline", "offlinetoken", "id", "idtoken", "logout", "logouttoken"})
"""Values that exclude an access token, as does any with `refresh` in it; Keycloak calls some refresh tokens offline."""
_NAMES: Final = ("preferred_username", "username", "email")
_PROFILE: Final = {
    "display_name": "name",
    "first_name": "given_name",
    "last_name": "family_name",
    "avatar_url": "picture",
}


@dataclass(frozen=True, slots=True)
class OutsideClaims:
    """The claims of a valid token. (issuer, subject) identifies the user permanently; `name` is only for display.

    `expires_at` is in Unix seconds, with the leeway (`auth.tokens.jws.good_until`).
    """

    issuer: str
    subject: str
    name: str
    expires_at: int
    jti: str
    """Empty without one."""
    issued_at: int
    """In Unix seconds; 0 without `iat`."""
    profile: ClaimedProfile = NOTHING_CLAIMED
    authenticated_at: int = 0
    """When the user logged in (`auth_time`), in Unix seconds; without it, `issued_at`."""


@dataclass(frozen=True, slots=True)
class _Pinned:
    """A key and the names of the only algorithm that it verifies."""

    key: TrustedKey
    algorithms: tuple[str, ...]


class ExternalIssuerVerifier:
    """Verifies the tokens of that issuer; as fast as for ours once its keys are cached.

    An empty `secret` means that there is none; an empty `issuer` or `audience` is not checked.
    """

    def __init__(
        self,
        *,
        secret: str,
        read_keys: PublicKeys | None,
        issuer: str,
        audience: str,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        shared = TrustedKey(OctKey.import_key(secret.encode())) if secret else None
        self._secret = None if shared is None else _Pinned(shared, (_SECRETS_ALGORITHM,))
        self._keys = KeyCache(read_keys, _trusted, monotonic) if read_keys is not None else None
        self._known = KnownTokens[OutsideClaims](now)
        values = {name: value for name, value in (("iss", issuer), ("aud", audience)) if value}
        self._required = Required(now, "exp", "sub", **values)

    async def verify(self, token: str) -> OutsideClaims:
        """The claims of a valid token.

        Raises: InvalidToken (its `reason`), KeysUnavailable (after at most about 2 s; the caller may try again).
        """
        known = self._known.get(token)
        if known is not None and (await self._key(known, known.algorithm)).key.thumbprint == known.thumbprint:
            return known.claims
        compact = SignedToken(token)
        algorithm, kind = compact.header.get("alg"), compact.header.get("typ", "JWT")
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise InvalidToken(InvalidTokenReason.WRONG_TYPE)
        pinned = await self._key(compact, algorithm)
        if not isinstance(algorithm, str) or algorithm not in pinned.algorithms:
            raise InvalidToken(InvalidTokenReason.WRONG_ALGORITHM)
        claims = compact.signed_by(pinned.key, algorithm)
        self._required.check(claims)
        if any(_is_no_access(value) for name, value in claims.items() if _folded(name) in _KINDS):
            raise InvalidToken(InvalidTokenReason.WRONG_TYPE)
        issuer, subject = claims.get("iss", ""), claims["sub"]
        if not _is_name(subject) or not subject:
            raise InvalidToken(InvalidTokenReason.BAD_SUBJECT)
        if not _is_name(issuer):
            raise InvalidToken(InvalidTokenReason.WRONG_ISSUER)
        names = (name for name in map(claims.get, _NAMES) if isinstance(name, str) and not is_blank(name))
        jti, issued_at = claims.get("jti"), int(claims.get("iat", 0))
        found = OutsideClaims(
            issuer,
            subject,
            next(names, subject),
            good_until(claims),
            jti if isinstance(jti, str) else "",
            issued_at,
            _profile(claims, issued_at),
            moment_in(claims, "auth_time") or issued_at,
        )
        self._known.add(compact, pinned.key, claims, found)
        return found

    async def _key(self, token: SignedToken | KnownToken[OutsideClaims], algorithm: object) -> _Pinned:
        """The one key that may have signed this; `algorithm` only selects between the secret and the public keys."""
        if algorithm == _SECRETS_ALGORITHM:
            if self._secret is not None:
                return self._secret
        elif self._keys is not None:
            return await self._keys.get(token.kid)
        raise InvalidToken(InvalidTokenReason.WRONG_ALGORITHM)


def _profile(claims: Mapping[str, Any], issued_at: int) -> ClaimedProfile:
    """The claims of OpenID Connect Core §5.1 that describe the user; one that is no text says nothing."""
    said = {field: text for field, name in _PROFILE.items() if isinstance(text := claims.get(name), str)}
    return ClaimedProfile(issued_at, **said)


def _is_no_access(kind: object) -> bool:
    """Whether this type, in any spelling, means that a token is not an access token.

    A media type (`refresh+jwt`) and a URN (RFC 8693 §3) are recognised by their last part.
    """
    if isinstance(kind, list):
        return any(_is_no_access(one) for one in kind if isinstance(one, str))
    if not isinstance(kind, str):
        return False
    folded = _folded(kind.replace("/", ":").rpartition(":")[2].lower().removesuffix("+jwt"))
    return folded in _NO_ACCESS or "refresh" in folded


def _folded(word: str) -> str:
    """The text in lower case without hyphens, underscores and spaces."""
    return "".join(character for character in word.casefold() if character.isalnum())


def _is_name(value: object) -> bool:
    """Whether this can be stored unchanged: identities are compared exactly."""
    return isinstance(value, str) and len(value) <= MAX_NAME_LENGTH and "\0" not in value


def _trusted(document: Mapping[str, Any]) -> dict[str, _Pinned]:
    """The signing keys of supported kinds; others in the document are ignored (RFC 7517 §5)."""
    keys = ((jwk.get("kid"), _pinned(jwk)) for jwk in document["keys"] if isinstance(jwk, dict))
    return {kid: pinned for kid, pinned in keys if isinstance(kid, str) and pinned is not None}


def _pinned(jwk: dict[str, Any]) -> _Pinned | None:
    """The key with the algorithm of its kind, unless the key declares another use or algorithm."""
    algorithms = _ALGORITHMS.get((str(jwk.get("kty")), str(jwk.get("crv", ""))))
    if algorithms is None or jwk.get("alg", algorithms[0]) not in algorithms or jwk.get("use", "sig") != "sig":
        return None
    try:
        key = TrustedKey(_import(jwk))
    except Exception as error:  # of many types; one bad key must not affect the others
        log.warning("key_unusable", extra={"fields": {"error": type(error).__name__}})
        return None
    is_weak = isinstance(key.key, RSAKey) and key.key.public_key.key_size < MIN_RSA_BITS
    return None if is_weak else _Pinned(key, algorithms)


def _import(jwk: dict[str, Any]) -> Key:
    match jwk["kty"]:
        case "EC":
            return ECKey.import_key(jwk)
        case "OKP":
            return OKPKey.import_key(jwk)
        case _:
            return RSAKey.import_key(jwk)
