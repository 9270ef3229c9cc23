"""Our own tokens: JWTs signed with ES256, issued here and verified by every gateway node.

Two kinds, told apart by `typ` and by `aud`, so that neither can ever pass for the other: access tokens of users
(RFC 9068 profile), and guest tokens, which are good for one room. `auth.compact` keeps the rules of RFC 8725,
`auth.key_cache` those about reading keys.
"""

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import ECKey

from auth.compact import Compact, Required
from auth.errors import InvalidToken, KeysUnavailable, Reason
from auth.key_cache import KeyCache, PublicKeys

__all__ = [
    "Claims",
    "GuestClaims",
    "GuestIssuer",
    "InvalidToken",
    "Issuer",
    "KeysUnavailable",
    "PublicKeys",
    "Reason",
    "TokenNames",
    "Verifier",
]

ALGORITHM: Final = "ES256"
TYPE: Final = "at+jwt"  # RFC 9068 §2.1: no other kind of token can pass for an access token
GUEST_TYPE: Final = "guest+jwt"
GUEST_LIFETIME_S: Final = 3600  # seed 002

_SUBJECT: Final = re.compile(r"[1-9][0-9]{0,18}")  # a positive BIGINT in its one decimal form
_MAX_USER_ID: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TokenNames:
    """Who issues our tokens (`iss`) and for whom (`aud`); both are checked exactly."""

    issuer: str = "chat-gateway"
    audience: str = "chat-gateway"

    @property
    def guest_audience(self) -> str:
        """For whom guest tokens are."""
        return f"{self.audience}:guests"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says. `expires_at` is in Unix seconds, without leeway."""

    user_id: int
    username: str
    expires_at: int
    jti: str


@dataclass(frozen=True, slots=True)
class GuestClaims:
    """What a valid guest token says: who they call themselves, and the one room that it opens."""

    username: str
    email: str
    room_id: str
    expires_at: int


class Issuer:
    """Signs access tokens of one lifetime."""

    def __init__(self, names: TokenNames, lifetime_s: int, now: Callable[[], float] = time.time) -> None:
        self._names = names
        self._now = now
        self.lifetime_s = lifetime_s

    def issue(self, key: ECKey, user_id: int, username: str) -> str:
        """A token for this user, signed with `key` (private, its kid set). About 0.1 ms of CPU; does not block."""
        claims = {"aud": self._names.audience, "sub": str(user_id), "username": username}
        return _signed(key, TYPE, self._names, self._now(), self.lifetime_s, claims)


class GuestIssuer:
    """Signs guest tokens, good for GUEST_LIFETIME_S."""

    def __init__(self, names: TokenNames, now: Callable[[], float] = time.time) -> None:
        self._names = names
        self._now = now

    def issue(self, key: ECKey, username: str, email: str, room_id: str) -> str:
        """A token for this room; nobody has checked that its bearer is who they say. As fast as `Issuer.issue`."""
        claims = {"aud": self._names.guest_audience, "username": username, "email": email, "room_id": room_id}
        return _signed(key, GUEST_TYPE, self._names, self._now(), GUEST_LIFETIME_S, claims)


def _signed(key: ECKey, kind: str, names: TokenNames, now: float, lifetime_s: int, claims: Mapping[str, object]) -> str:
    issued_at = int(now)
    return jwt.encode(
        {"alg": ALGORITHM, "typ": kind, "kid": key.kid},
        {
            "iss": names.issuer,
            **claims,
            "iat": issued_at,
            "exp": issued_at + lifetime_s,
            "jti": secrets.token_urlsafe(16),
        },
        key,
        algorithms=[ALGORITHM],
    )


class Verifier:
    """Verifies our tokens against a cached set of public keys; about 0.2 ms of CPU and no waiting, as a rule.

    `read_keys` is called when the set is a minute old, or at once for an unknown kid (but see `auth.key_cache`).
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
        self._issuer = names.issuer
        self._keys = KeyCache(read_keys, _trusted, monotonic)
        times = ("exp", "iat", "jti")
        self._access = Required(now, *times, "sub", "username", iss=names.issuer, aud=names.audience)
        self._guest = Required(now, *times, "username", "email", "room_id", iss=names.issuer, aud=names.guest_audience)

    def is_ours(self, token: str) -> bool:
        """Whether the token says that we issued it, which is nothing but a hint at who can tell.

        Raises: InvalidToken (TOO_LARGE, MALFORMED).
        """
        return Compact(token).unverified_claims().get("iss") == self._issuer

    async def verify(self, token: str) -> Claims:
        """The claims of a valid access token.

        Raises: InvalidToken (its `reason`), KeysUnavailable (after at most about 2 s; the caller may try again).
        """
        claims = await self._claims(token, TYPE, self._access)
        subject = claims["sub"]
        if not _SUBJECT.fullmatch(subject) or int(subject) > _MAX_USER_ID:
            raise InvalidToken(Reason.BAD_SUBJECT)
        return Claims(int(subject), _text(claims, "username"), int(claims["exp"]), claims["jti"])

    async def verify_guest(self, token: str) -> GuestClaims:
        """The claims of a valid guest token.

        Raises: as `verify`.
        """
        claims = await self._claims(token, GUEST_TYPE, self._guest)
        username, email, room_id = (_text(claims, name) for name in ("username", "email", "room_id"))
        return GuestClaims(username, email, room_id, int(claims["exp"]))

    async def _claims(self, token: str, kind: str, required: Required) -> dict[str, Any]:
        compact = Compact(token)
        kid = compact.kid
        if compact.header.get("alg") != ALGORITHM:
            raise InvalidToken(Reason.WRONG_ALGORITHM)
        if compact.header.get("typ") != kind:
            raise InvalidToken(Reason.WRONG_TYPE)
        claims = compact.signed_by(await self._keys.get(kid), ALGORITHM)
        required.check(claims)
        return claims


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str):
        raise InvalidToken(Reason.INVALID_CLAIM)
    return value


def _trusted(document: Mapping[str, Any]) -> dict[str, ECKey]:
    """The keys that may sign our tokens; others in the document are not ours to judge (RFC 7517 §5)."""
    return {
        jwk["kid"]: ECKey.import_key(jwk)
        for jwk in document["keys"]
        if jwk.get("kty") == "EC" and jwk.get("crv") == "P-256" and jwk.get("alg") == ALGORITHM
    }
