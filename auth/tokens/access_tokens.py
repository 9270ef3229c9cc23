"""Our own tokens: JWTs signed with ES256, issued here and verified by every gateway node.

Three kinds, distinguished by `typ` and by `aud`, so that none passes for another: access tokens of users (RFC 9068
profile), guest tokens, which are valid for one room, and device tokens, which open nothing (`auth.accounts.devices`).
`auth.tokens.jws` implements the rules of RFC 8725, `auth.tokens.key_cache` those about reading keys.
"""

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from joserfc import jwt
from joserfc.jwk import ECKey
from msgspec import Struct

from auth.errors import InvalidToken, InvalidTokenReason, KeysUnavailable
from auth.tokens.jws import ES256, KnownTokens, Required, SignedToken, TrustedKey, good_until, moment_in
from auth.tokens.key_cache import KeyCache, PublicKeys

__all__ = [
    "Claims",
    "DeviceClaims",
    "DeviceIssuer",
    "GuestClaims",
    "GuestIssuer",
    "InvalidToken",
    "InvalidTokenReason",
    "Issuer",
    "KeysUnavailable",
    "PublicKeys",
    "TokenNames",
    "Verifier",
]

ALGORITHM: Final = ES256
TYPE: Final = "at+jwt"  # RFC 9068 §2.1: no other kind of token can pass for an access token
GUEST_TYPE: Final = "guest+jwt"
GUEST_LIFETIME_S: Final = 3600  # seed 002
DEVICE_TYPE: Final = "device+jwt"
DEVICE_LIFETIME_S: Final = 90 * 24 * 3600
"""At most: a device token ends with the key that signed it."""

T = TypeVar("T")

_SUBJECT: Final = re.compile(r"[1-9][0-9]{0,18}")  # a positive BIGINT in its one decimal form
_MAX_USER_ID: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TokenNames:
    """The issuer (`iss`) and the audience (`aud`) of our tokens; both are compared exactly."""

    issuer: str = "chat-gateway"
    audience: str = "chat-gateway"

    @property
    def guest_audience(self) -> str:
        """The audience of guest tokens."""
        return f"{self.audience}:guests"

    @property
    def device_audience(self) -> str:
        """The audience of device tokens."""
        return f"{self.audience}:devices"


class Claims(Struct, frozen=True, gc=False):
    """The claims of a valid token. `expires_at` is in Unix seconds, with the leeway (`auth.tokens.jws.good_until`)."""

    user_id: int
    username: str
    expires_at: int
    jti: str
    issued_at: int
    session_id: str = ""
    """The login that the token renews, if it can be renewed."""
    authenticated_at: int = 0
    """When the user logged in (`auth_time`), in Unix seconds; 0 if the token does not say."""


@dataclass(frozen=True, slots=True)
class GuestClaims:
    """The claims of a valid guest token: unverified name and address, and the one room it opens until `expires_at`."""

    username: str
    email: str
    room_id: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class DeviceClaims:
    """The claims of a valid device token: the device's id, and the digest of the login that it knows."""

    device: str
    login_digest: str


class Issuer:
    """Signs access tokens of one lifetime."""

    def __init__(self, names: TokenNames, lifetime_s: int, now: Callable[[], float] = time.time) -> None:
        self._names = names
        self._now = now
        self.lifetime_s = lifetime_s

    def issue(
        self,
        key: ECKey,
        user_id: int,
        username: str,
        *,
        session_id: str = "",
        earliest_iat: float = 0,
        authenticated_at: int = 0,
    ) -> str:
        """A token for this user, signed with `key` (private, its kid set). About 0.1 ms of CPU; does not block.

        It is issued at `earliest_iat` if that is later than now: all earlier tokens of the user may be revoked.
        """
        claims: dict[str, object] = {"aud": self._names.audience, "sub": str(user_id), "username": username}
        if session_id:
            claims["sid"] = session_id
        if authenticated_at:
            claims["auth_time"] = authenticated_at
        return _signed(key, TYPE, self._names, max(self._now(), earliest_iat), self.lifetime_s, claims)


class GuestIssuer:
    """Signs guest tokens, which are valid for GUEST_LIFETIME_S."""

    def __init__(self, names: TokenNames, now: Callable[[], float] = time.time) -> None:
        self._names = names
        self._now = now

    def issue(self, key: ECKey, username: str, email: str, room_id: str) -> str:
        """A token for this room; the name and address in it are not verified. As fast as `Issuer.issue`."""
        claims = {"aud": self._names.guest_audience, "username": username, "email": email, "room_id": room_id}
        return _signed(key, GUEST_TYPE, self._names, self._now(), GUEST_LIFETIME_S, claims)


class DeviceIssuer:
    """Signs device tokens, valid for DEVICE_LIFETIME_S."""

    def __init__(self, names: TokenNames, now: Callable[[], float] = time.time) -> None:
        self._names = names
        self._now = now

    def issue(self, key: ECKey, login_digest: str, device: str) -> str:
        """A token for this device. As fast as `Issuer.issue`."""
        claims = {"aud": self._names.device_audience, "sub": login_digest, "device": device}
        return _signed(key, DEVICE_TYPE, self._names, self._now(), DEVICE_LIFETIME_S, claims)


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
    """Verifies our tokens against a cached set of public keys; about 0.1 ms of CPU and usually no waiting.

    `read_keys` is called when the set is a minute old, or at once for an unknown kid (but see `auth.tokens.key_cache`).
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
        self._known = KnownTokens[Claims](now)
        self._known_guests = KnownTokens[GuestClaims](now)
        times = ("exp", "iat", "jti")
        self._access = Required(now, *times, "sub", "username", iss=names.issuer, aud=names.audience)
        self._guest = Required(now, *times, "username", "email", "room_id", iss=names.issuer, aud=names.guest_audience)
        self._device = Required(now, *times, "sub", "device", iss=names.issuer, aud=names.device_audience)

    def is_ours(self, token: str) -> bool:
        """Whether the token claims our issuer. It is not verified: this only selects the verifier.

        Raises: InvalidToken (TOO_LARGE, MALFORMED).
        """
        return SignedToken(token).unverified_claims().get("iss") == self._issuer

    async def verify(self, token: str) -> Claims:
        """The claims of a valid access token.

        Raises: InvalidToken (its `reason`), KeysUnavailable (after at most about 2 s; the caller may try again).
        """
        if (known := await self._found(self._known, token)) is not None:
            return known
        signed, key, claims = await self._claims(token, TYPE, self._access)
        subject = claims["sub"]
        if not _SUBJECT.fullmatch(subject) or int(subject) > _MAX_USER_ID:
            raise InvalidToken(InvalidTokenReason.BAD_SUBJECT)
        username, jti = _text(claims, "username"), _text(claims, "jti")
        session_id = claims.get("sid", "")
        if not isinstance(session_id, str):
            raise InvalidToken(InvalidTokenReason.INVALID_CLAIM)
        times = good_until(claims), jti, int(claims["iat"])
        found = Claims(int(subject), username, *times, session_id, moment_in(claims, "auth_time"))
        self._known.add(signed, key, claims, found)
        return found

    async def verify_guest(self, token: str) -> GuestClaims:
        """The claims of a valid guest token.

        Raises: as `verify`.
        """
        if (known := await self._found(self._known_guests, token)) is not None:
            return known
        signed, key, claims = await self._claims(token, GUEST_TYPE, self._guest)
        username, email, room_id = (_text(claims, name) for name in ("username", "email", "room_id"))
        found = GuestClaims(username, email, room_id, good_until(claims))
        self._known_guests.add(signed, key, claims, found)
        return found

    async def verify_device(self, token: str) -> DeviceClaims:
        """The claims of a valid device token.

        Raises: as `verify`.
        """
        _, _, claims = await self._claims(token, DEVICE_TYPE, self._device)
        return DeviceClaims(_text(claims, "device"), _text(claims, "sub"))

    async def _found(self, known_tokens: KnownTokens[T], token: str) -> T | None:
        """The claims of a token that was verified before, if its key is still trusted.

        Raises: InvalidToken (UNKNOWN_KEY), KeysUnavailable.
        """
        known = known_tokens.get(token)
        if known is None or (await self._keys.get(known.kid)).thumbprint != known.thumbprint:
            return None
        return known.claims

    async def _claims(
        self, token: str, kind: str, required: Required
    ) -> tuple[SignedToken, TrustedKey, dict[str, Any]]:
        signed = SignedToken(token)
        kid = signed.kid
        if signed.header.get("alg") != ALGORITHM:
            raise InvalidToken(InvalidTokenReason.WRONG_ALGORITHM)
        if signed.header.get("typ") != kind:
            raise InvalidToken(InvalidTokenReason.WRONG_TYPE)
        key = await self._keys.get(kid)
        claims = signed.signed_by(key, ALGORITHM)
        required.check(claims)
        return signed, key, claims


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str):
        raise InvalidToken(InvalidTokenReason.INVALID_CLAIM)
    return value


def _trusted(document: Mapping[str, Any]) -> dict[str, TrustedKey]:
    """The keys that may sign our tokens; others in the document are ignored (RFC 7517 §5)."""
    return {
        jwk["kid"]: TrustedKey(ECKey.import_key(jwk))
        for jwk in document["keys"]
        if jwk.get("kty") == "EC" and jwk.get("crv") == "P-256" and jwk.get("alg") == ALGORITHM
    }
