"""Access tokens: JWTs signed with ES256 (RFC 9068 profile), issued here and verified by every gateway node.

Invariants (RFC 8725):
1. What a token says of itself picks among keys that we already trust, and nothing more: `alg` is pinned per key; `kid`
   is looked up and never followed; `jku`, `x5u`, `jwk` and `x5c` are not read at all.
2. Unknown kids cost at most one read of the keys a minute, however many arrive.
3. Nothing raised here contains any part of a token.
"""

import asyncio
import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws, jwt
from joserfc.errors import (
    BadSignatureError,
    ClaimError,
    ExpiredTokenError,
    JoseError,
    MissingClaimError,
)
from joserfc.jwk import ECKey

from auth.errors import InvalidToken, KeysUnavailable, Reason

__all__ = ["Claims", "InvalidToken", "Issuer", "KeysUnavailable", "PublicKeys", "Reason", "TokenNames", "Verifier"]

ALGORITHM: Final = "ES256"
TYPE: Final = "at+jwt"  # RFC 9068 §2.1: no other kind of token can pass for an access token
LEEWAY_S: Final = 30  # clock skew between nodes
MAX_TOKEN_BYTES: Final = 4096  # ours have about 400
KEYS_MAX_AGE_S: Final = 60.0  # a retired key is refused, and a rotated one known, within this
UNKNOWN_KID_INTERVAL_S: Final = 60.0
RETRY_INTERVAL_S: Final = 2.0  # after a read of the keys that failed
KEYS_TIMEOUT_S: Final = 2.0  # how long a token may wait for keys

log = logging.getLogger("auth")

_SUBJECT: Final = re.compile(r"[1-9][0-9]{0,18}")  # a positive BIGINT in its one decimal form
_MAX_USER_ID: Final = 2**63 - 1

PublicKeys = Callable[[], Awaitable[Mapping[str, Any]]]
"""Reads the current JWKS document (RFC 7517 §5) from wherever the keys are; may raise anything."""


@dataclass(frozen=True, slots=True)
class TokenNames:
    """Who issues our tokens (`iss`) and for whom (`aud`); both are checked exactly."""

    issuer: str = "chat-gateway"
    audience: str = "chat-gateway"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says. `expires_at` is in Unix seconds, without leeway."""

    user_id: int
    username: str
    expires_at: int
    jti: str


class Issuer:
    """Signs access tokens of one lifetime."""

    def __init__(self, names: TokenNames, lifetime_s: int, now: Callable[[], float] = time.time) -> None:
        self._names = names
        self._now = now
        self.lifetime_s = lifetime_s

    def issue(self, key: ECKey, user_id: int, username: str) -> str:
        """A token for this user, signed with `key` (private, its kid set). About 0.1 ms of CPU; does not block."""
        issued_at = int(self._now())
        return jwt.encode(
            {"alg": ALGORITHM, "typ": TYPE, "kid": key.kid},
            {
                "iss": self._names.issuer,
                "aud": self._names.audience,
                "sub": str(user_id),
                "username": username,
                "iat": issued_at,
                "exp": issued_at + self.lifetime_s,
                "jti": secrets.token_urlsafe(16),
            },
            key,
            algorithms=[ALGORITHM],
        )


class Verifier:
    """Verifies access tokens against a cached set of public keys; about 0.2 ms of CPU and no waiting, as a rule.

    `read_keys` is called when the set is a minute old, or at once for an unknown kid (but see invariant 2). A set that
    cannot be renewed stays in use.
    """

    def __init__(
        self,
        read_keys: PublicKeys,
        names: TokenNames | None = None,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        names = names or TokenNames()
        self._keys = _KeyCache(read_keys, monotonic)
        self._registry = jwt.JWTClaimsRegistry(
            now=lambda: int(now()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": names.issuer},
            aud={"essential": True, "value": names.audience},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            jti={"essential": True},
            username={"essential": True},
        )

    async def verify(self, token: str) -> Claims:
        """The claims of a valid token.

        Raises: InvalidToken (its `reason`), KeysUnavailable (after at most about 2 s; the caller may try again).
        """
        unverified = _parse(token)
        key = await self._keys.get(unverified.headers()["kid"])
        if not _is_signed_by(unverified, key):
            raise InvalidToken(Reason.BAD_SIGNATURE)
        return self._claims(unverified.payload)

    def _claims(self, payload: bytes | None) -> Claims:
        try:
            claims = json.loads(payload or b"")
        except (ValueError, RecursionError):
            raise InvalidToken(Reason.MALFORMED) from None
        if not isinstance(claims, dict):
            raise InvalidToken(Reason.MALFORMED)
        try:
            self._registry.validate(claims)
        except JoseError as error:
            raise InvalidToken(_reason_of(error)) from None
        subject, username = claims["sub"], claims["username"]
        if not _SUBJECT.fullmatch(subject) or int(subject) > _MAX_USER_ID:
            raise InvalidToken(Reason.BAD_SUBJECT)
        if not isinstance(username, str):
            raise InvalidToken(Reason.INVALID_CLAIM)
        return Claims(int(subject), username, int(claims["exp"]), claims["jti"])


def _parse(token: str) -> jws.CompactSignature:
    """The parts of a token whose header has the one form that we issue; nothing of it is trusted yet."""
    if len(token) > MAX_TOKEN_BYTES:
        raise InvalidToken(Reason.TOO_LARGE)
    try:
        parts = jws.extract_compact(token.encode("ascii"))
    except (JoseError, ValueError):
        raise InvalidToken(Reason.MALFORMED) from None
    header: object = parts.protected
    if not isinstance(header, dict) or "crit" in header or not isinstance(header.get("kid"), str):
        raise InvalidToken(Reason.MALFORMED)
    if header.get("alg") != ALGORITHM:
        raise InvalidToken(Reason.WRONG_ALGORITHM)
    if header.get("typ") != TYPE:
        raise InvalidToken(Reason.WRONG_TYPE)
    return parts


def _is_signed_by(parts: jws.CompactSignature, key: ECKey) -> bool:
    try:
        return jws.validate_compact(parts, key, algorithms=[ALGORITHM])
    except BadSignatureError:
        return False
    except JoseError:  # a header that the library will not have beside ours
        raise InvalidToken(Reason.MALFORMED) from None


def _reason_of(error: JoseError) -> Reason:
    match error:
        case ExpiredTokenError():
            return Reason.EXPIRED
        case MissingClaimError():
            return Reason.MISSING_CLAIM
        case ClaimError(claim="iss"):
            return Reason.WRONG_ISSUER
        case ClaimError(claim="aud"):
            return Reason.WRONG_AUDIENCE
        case ClaimError(claim="nbf" | "iat"):
            return Reason.NOT_YET_VALID
        case ClaimError(claim="sub"):
            return Reason.BAD_SUBJECT
        case _:
            return Reason.INVALID_CLAIM


class _KeyCache:
    """The trusted keys by kid. At most one read is under way, in a task of its own that ends within KEYS_TIMEOUT_S."""

    def __init__(self, read_keys: PublicKeys, monotonic: Callable[[], float]) -> None:
        self._read_keys = read_keys
        self._monotonic = monotonic
        self._keys: dict[str, ECKey] = {}
        self._reading: asyncio.Task[None] | None = None
        self._last_failed = False
        self._next_read = self._next_for_unknown = float("-inf")

    async def get(self, kid: str) -> ECKey:
        """The key, once the set has been renewed if that was due.

        Raises: InvalidToken (UNKNOWN_KEY), KeysUnavailable.
        """
        looked = self._is_due(kid)
        if looked:
            await self._renew()
        if key := self._keys.get(kid):
            return key
        if self._last_failed:
            raise KeysUnavailable
        if looked:  # a kid that a fresh set does not have is probably junk: let it cost no more reads for a while
            self._next_for_unknown = self._monotonic() + UNKNOWN_KID_INTERVAL_S
        raise InvalidToken(Reason.UNKNOWN_KEY)

    def _is_due(self, kid: str) -> bool:
        now = self._monotonic()
        if now >= self._next_read:
            return True
        if kid in self._keys:
            return False
        return self._reading is not None or (not self._last_failed and now >= self._next_for_unknown)

    async def _renew(self) -> None:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(), name="auth-read-public-keys")
        await asyncio.wait([self._reading])  # a caller that is cancelled leaves the read to the others

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(KEYS_TIMEOUT_S):
                self._keys = _trusted(await self._read_keys())
        except Exception as error:  # the source may be a database or a URL: all its failures mean the same here
            self._last_failed = True
            self._next_read = self._monotonic() + RETRY_INTERVAL_S
            log.warning("keys_unreadable", extra={"fields": {"error": type(error).__name__}})
        else:
            self._last_failed = False
            self._next_read = self._monotonic() + KEYS_MAX_AGE_S
        finally:
            self._reading = None


def _trusted(document: Mapping[str, Any]) -> dict[str, ECKey]:
    """The keys that may sign our tokens; others in the document are not ours to judge (RFC 7517 §5)."""
    return {
        jwk["kid"]: ECKey.import_key(jwk)
        for jwk in document["keys"]
        if jwk.get("kty") == "EC" and jwk.get("crv") == "P-256" and jwk.get("alg") == ALGORITHM
    }
