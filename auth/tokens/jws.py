"""Signed tokens of any issuer (JWTs in JWS compact form), from text to claims.

Invariants (RFC 8725):
1. A token's header only selects among keys that we already trust: `alg` is pinned per key; `kid` is looked up and
   never followed; `jku`, `x5u`, `jwk` and `x5c` are not read.
2. Nothing raised here contains any part of a token.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final, Generic, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jws, jwt
from joserfc.errors import (
    BadSignatureError,
    ClaimError,
    ExpiredTokenError,
    JoseError,
    MissingClaimError,
    UnsupportedAlgorithmError,
)
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import ECKey, Key
from joserfc.util import urlsafe_b64decode
from msgspec import Struct

from auth.errors import InvalidToken, InvalidTokenReason
from httpapi.bounded_json import read_json

LEEWAY_S: Final = 30
"""Tolerance for clocks that differ: a token is valid from `nbf` (and `iat`) minus this until `exp` plus this."""
_MAX_MOMENT: Final = 1 << 40
MAX_TOKEN_BYTES: Final = 8192  # ours have about 400; some issuers list a user's groups
MAX_KNOWN: Final = 20_000
MAX_HEADER_BYTES: Final = 2048  # in base64; some issuers send a certificate's thumbprints along
MAX_SIGNATURE_BYTES: Final = 1024  # in base64, as in joserfc
ES256: Final = "ES256"

_ES256_COORDINATE_BYTES: Final = 32
_ECDSA: Final = ECDSA(SHA256())
_PLAIN: Final = frozenset({"alg", "typ", "kid"})
"""The parameters of a header that is read without joserfc, which has rules for the others."""

C = TypeVar("C")


class _Registry(jws.JWSRegistry):
    """joserfc's rules, for at most one algorithm; unknown header parameters are ignored (RFC 7515 §4)."""

    max_header_length = MAX_HEADER_BYTES

    def __init__(self, *algorithm: str) -> None:
        super().__init__(algorithms=algorithm, strict_check_header=False)

    def get_alg(self, name: str) -> JWSAlgModel:
        """As in joserfc, without its warning for EdDSA, a name that RFC 9864 replaced and issuers still use."""
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError(f"not {self.allowed}")
        return self.algorithms[name]


class KnownToken(Struct, Generic[C], frozen=True, gc=False):
    """A token that was found valid, from `since` until before `until` (Unix seconds)."""

    kid: str
    """Empty without one."""
    algorithm: str
    thumbprint: str
    """Of the key that signed it."""
    since: float
    until: int
    claims: C


class KnownTokens(Generic[C]):
    """Remembers valid tokens, so that the next calls with one of them cost a tenth of the first.

    Only that: the caller finds the key among those that are trusted now, and whether the token is revoked is decided
    elsewhere. Tokens are kept as hashes; beyond `most` (12 MB), the ones that came longest ago are forgotten.
    """

    def __init__(self, now: Callable[[], float], most: int = MAX_KNOWN) -> None:
        self._now = now
        self._most = most
        self._known: OrderedDict[bytes, KnownToken[C]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, token: str) -> KnownToken[C] | None:
        """What was found of this token, if it is known and within its time."""
        entry = sha256(token.encode(errors="surrogatepass")).digest() if len(token) <= MAX_TOKEN_BYTES else b""
        known = self._known.get(entry)
        if known is None:
            return None
        if not known.since <= int(self._now()) < known.until:
            del self._known[entry]
            return None
        self._known.move_to_end(entry)
        return known

    def add(self, token: "SignedToken", key: "TrustedKey", claims: Mapping[str, Any], found: C) -> None:
        """Remember a token whose signature by this key, and all claims, were verified; `found` is their result."""
        since = max(claims.get("nbf", 0), claims.get("iat", 0)) - LEEWAY_S
        kid, algorithm = token.header.get("kid", ""), token.header["alg"]
        self._known[token.hash] = KnownToken(kid, algorithm, key.thumbprint, since, good_until(claims), found)
        if len(self._known) > self._most:
            self._known.popitem(last=False)


class TrustedKey:
    """A public key, or a secret, that may sign tokens; what all its tokens need of it is computed once.

    ES256 is verified by `cryptography` itself, which joserfc uses too: the same result for a third less.
    """

    __slots__ = ("_public", "key", "thumbprint")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.thumbprint = key.thumbprint()
        self._public = _es256_key(key)

    def verifies(self, token: "SignedToken", algorithm: str) -> bool:
        """Whether this key signed the token with this algorithm.

        Raises: JoseError for a header, or an algorithm, that joserfc rejects.
        """
        if self._public is None or algorithm != ES256 or not token.is_plain or token.header["alg"] != ES256:
            try:
                return jws.validate_compact(token.compact(), self.key, registry=_Registry(algorithm))
            except BadSignatureError:
                return False
        try:
            signature = urlsafe_b64decode(token.signature)
        except ValueError:
            return False
        if len(signature) != 2 * _ES256_COORDINATE_BYTES:
            return False
        r, s = signature[:_ES256_COORDINATE_BYTES], signature[_ES256_COORDINATE_BYTES:]
        try:
            self._public.verify(encode_dss_signature(int.from_bytes(r), int.from_bytes(s)), token.signed, _ECDSA)
        except InvalidSignature:
            return False
        return True


def _es256_key(key: Key) -> EllipticCurvePublicKey | None:
    """The key, if joserfc would verify ES256 with it."""
    if not isinstance(key, ECKey):
        return None
    try:
        jws.JWSRegistry.algorithms[ES256].check_key(key)
    except JoseError:
        return None
    return key.public_key


class SignedToken:
    """A well-formed token; nothing in it is trusted before `signed_by`.

    Raises: InvalidToken (TOO_LARGE, MALFORMED).
    """

    def __init__(self, token: str) -> None:
        if len(token) > MAX_TOKEN_BYTES:
            raise InvalidToken(InvalidTokenReason.TOO_LARGE)
        try:
            raw = token.encode("ascii")
            encoded, payload, self.signature = raw.split(b".")
            header = read_json(urlsafe_b64decode(encoded))  # joserfc's own reader has no bound on depth
            if not isinstance(header, dict) or "alg" not in header or "crit" in header:
                raise InvalidToken(InvalidTokenReason.MALFORMED)
            if len(encoded) > MAX_HEADER_BYTES or len(self.signature) > MAX_SIGNATURE_BYTES:
                raise InvalidToken(InvalidTokenReason.MALFORMED)
            self._raw = raw
            self.is_plain = header.keys() <= _PLAIN and all(type(value) is str for value in header.values())
            """Whether joserfc has no more rules for the header."""
            self._payload = urlsafe_b64decode(payload) if self.is_plain else self.compact().payload or b""
        except (JoseError, ValueError):
            raise InvalidToken(InvalidTokenReason.MALFORMED) from None
        self.header: dict[str, Any] = header

    @property
    def signed(self) -> bytes:
        """What the signature is of."""
        return self._raw[: -len(self.signature) - 1]

    def compact(self) -> jws.CompactSignature:
        """The same as joserfc parses it.

        Raises: JoseError, ValueError.
        """
        return jws.extract_compact(self._raw, registry=_Registry())

    @property
    def kid(self) -> str:
        """The name of the key that the token claims to be signed with.

        Raises: InvalidToken (MALFORMED).
        """
        kid = self.header.get("kid")
        if not isinstance(kid, str):
            raise InvalidToken(InvalidTokenReason.MALFORMED)
        return kid

    @property
    def hash(self) -> bytes:
        """What a token is remembered by."""
        return sha256(self._raw).digest()

    def signed_by(self, key: TrustedKey, algorithm: str) -> dict[str, Any]:
        """The claims, if this key signed them with this algorithm; their values are not checked.

        The caller takes the algorithm from the key, never from the token.

        Raises: InvalidToken (BAD_SIGNATURE, MALFORMED).
        """
        try:
            is_signed = key.verifies(self, algorithm)
        except JoseError:
            raise InvalidToken(InvalidTokenReason.MALFORMED) from None
        if not is_signed:
            raise InvalidToken(InvalidTokenReason.BAD_SIGNATURE)
        return self.unverified_claims()

    def unverified_claims(self) -> dict[str, Any]:
        """The claims without any verification.

        Raises: InvalidToken (MALFORMED).
        """
        try:
            claims = read_json(self._payload)
        except ValueError:
            raise InvalidToken(InvalidTokenReason.MALFORMED) from None
        if not isinstance(claims, dict):
            raise InvalidToken(InvalidTokenReason.MALFORMED)
        return claims


class Required:
    """Required claims, for some of them with their value; `exp`, `nbf` and `iat` must fit the clock."""

    def __init__(self, now: Callable[[], float], *names: str, **values: str) -> None:
        required: dict[str, Any] = {name: {"essential": True} for name in names}
        required |= {name: {"essential": True, "value": value} for name, value in values.items()}
        self._registry = jwt.JWTClaimsRegistry(now=lambda: int(now()), leeway=LEEWAY_S, **required)

    def check(self, claims: dict[str, Any]) -> None:
        """Return if all claims are valid.

        Raises: InvalidToken.
        """
        try:
            self._registry.validate(claims)
        except JoseError as error:
            raise InvalidToken(_reason_of(error)) from None


def good_until(claims: Mapping[str, Any]) -> int:
    """When a token with these checked claims becomes invalid, in Unix seconds; its sockets are closed then too."""
    return int(claims["exp"]) + LEEWAY_S


def moment_in(claims: Mapping[str, Any], name: str) -> int:
    """A time among the claims, in Unix seconds; 0 if it is missing or is none."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 < value < _MAX_MOMENT else 0


def _reason_of(error: JoseError) -> InvalidTokenReason:
    match error:
        case ExpiredTokenError():
            return InvalidTokenReason.EXPIRED
        case MissingClaimError():
            return InvalidTokenReason.MISSING_CLAIM
        case ClaimError(claim="iss"):
            return InvalidTokenReason.WRONG_ISSUER
        case ClaimError(claim="aud"):
            return InvalidTokenReason.WRONG_AUDIENCE
        case ClaimError(claim="nbf" | "iat"):
            return InvalidTokenReason.NOT_YET_VALID
        case ClaimError(claim="sub"):
            return InvalidTokenReason.BAD_SUBJECT
        case _:
            return InvalidTokenReason.INVALID_CLAIM
