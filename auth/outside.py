"""Tokens of one outside issuer ("main application" of seed 000): JWTs that its own users come with.

It signs with keys at a JWKS URL, or with a secret that it shares with us (HS256), or either. The invariants of
`auth.compact` and `auth.key_cache` hold here too; and the secret verifies HS256 and nothing else, public keys never do.

Its name and ours (`iss`, `aud`) are checked where they are configured, as production demands. Without a configured
issuer, a token may name any, or none (`iss` is then ""): whoever has the key is trusted to say.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from auth.compact import Compact, Required
from auth.errors import InvalidToken, Reason
from auth.key_cache import KeyCache, PublicKeys

MAX_NAME_LENGTH: Final = 255  # of `sub` (OpenID Connect Core §2) and of `iss`
MIN_RSA_BITS: Final = 2048  # RFC 7518 §3.3

log = logging.getLogger("auth")

_SECRETS_ALGORITHM: Final = "HS256"
_ALGORITHMS: Final = {
    ("RSA", ""): ("RS256",),
    ("EC", "P-256"): ("ES256",),
    ("OKP", "Ed25519"): ("EdDSA", "Ed25519"),  # two names of one (RFC 9864)
}
"""What keys of a kind may sign with, by `kty` and `crv`."""

_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_KINDS: Final = ("typ", "type", "token_type", "token_use")
"""Claims by which issuers without `typ` tell their tokens apart."""
_NO_ACCESS: Final = frozenset({"refresh", "refresh_token", "id", "id_token"})
_NAMES: Final = ("preferred_username", "username", "email")


@dataclass(frozen=True, slots=True)
class OutsideClaims:
    """What a valid token says: (issuer, subject) is who, for ever; `name`, what they are called, proves nothing.

    `expires_at` is in Unix seconds, without leeway.
    """

    issuer: str
    subject: str
    name: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class _Pinned:
    """A key, and the names of the only algorithm that it verifies."""

    key: Key
    algorithms: tuple[str, ...]


class OutsideVerifier:
    """Verifies that issuer's tokens; as fast as ours, once its keys are there.

    `secret` and `issuer` and `audience` may be "": there is none, it is not checked.
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
        self._secret = _Pinned(OctKey.import_key(secret.encode()), (_SECRETS_ALGORITHM,)) if secret else None
        self._keys = KeyCache(read_keys, _trusted, monotonic) if read_keys is not None else None
        values = {name: value for name, value in (("iss", issuer), ("aud", audience)) if value}
        self._required = Required(now, "exp", "sub", **values)

    async def verify(self, token: str) -> OutsideClaims:
        """The claims of a valid token.

        Raises: InvalidToken (its `reason`), KeysUnavailable (after at most about 2 s; the caller may try again).
        """
        compact = Compact(token)
        algorithm, kind = compact.header.get("alg"), compact.header.get("typ", "JWT")
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise InvalidToken(Reason.WRONG_TYPE)
        pinned = await self._key(compact, algorithm)
        if not isinstance(algorithm, str) or algorithm not in pinned.algorithms:
            raise InvalidToken(Reason.WRONG_ALGORITHM)
        claims = compact.signed_by(pinned.key, algorithm)
        self._required.check(claims)
        if any(_folded(claims.get(name)) in _NO_ACCESS for name in _KINDS):
            raise InvalidToken(Reason.WRONG_TYPE)
        issuer, subject = claims.get("iss", ""), claims["sub"]
        if not _is_name(subject) or not subject:
            raise InvalidToken(Reason.BAD_SUBJECT)
        if not _is_name(issuer):
            raise InvalidToken(Reason.WRONG_ISSUER)
        names = (name for name in map(claims.get, _NAMES) if isinstance(name, str) and name)
        return OutsideClaims(issuer, subject, next(names, subject), int(claims["exp"]))

    async def _key(self, compact: Compact, algorithm: object) -> _Pinned:
        """The one key that may have signed this; `algorithm` tells the secret from the others, and no more."""
        if algorithm == _SECRETS_ALGORITHM:
            if self._secret is not None:
                return self._secret
        elif self._keys is not None:
            return await self._keys.get(compact.kid)
        raise InvalidToken(Reason.WRONG_ALGORITHM)


def _folded(value: object) -> str:
    return value.lower() if isinstance(value, str) else ""


def _is_name(value: object) -> bool:
    """Whether this can be stored as it is: identities are compared to the letter."""
    if not isinstance(value, str) or len(value) > MAX_NAME_LENGTH or "\0" in value:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _trusted(document: Mapping[str, Any]) -> dict[str, _Pinned]:
    """The signing keys of the kinds that we know; others in the document are not ours to judge (RFC 7517 §5)."""
    keys = ((jwk.get("kid"), _pinned(jwk)) for jwk in document["keys"] if isinstance(jwk, dict))
    return {kid: pinned for kid, pinned in keys if isinstance(kid, str) and pinned is not None}


def _pinned(jwk: dict[str, Any]) -> _Pinned | None:
    """The key with the algorithm of its kind, unless it says that it is for something else."""
    algorithms = _ALGORITHMS.get((str(jwk.get("kty")), str(jwk.get("crv", ""))))
    if algorithms is None or jwk.get("alg", algorithms[0]) not in algorithms or jwk.get("use", "sig") != "sig":
        return None
    try:
        key = _import(jwk)
    except Exception as error:  # of many kinds; and one bad key says nothing about the others
        log.warning("key_unusable", extra={"fields": {"error": type(error).__name__}})
        return None
    return None if isinstance(key, RSAKey) and key.public_key.key_size < MIN_RSA_BITS else _Pinned(key, algorithms)


def _import(jwk: dict[str, Any]) -> Key:
    match jwk["kty"]:
        case "EC":
            return ECKey.import_key(jwk)
        case "OKP":
            return OKPKey.import_key(jwk)
        case _:
            return RSAKey.import_key(jwk)
