"""Signed tokens (JWTs in JWS compact form), from text to claims, whoever issued them.

Invariants (RFC 8725):
1. What a token says of itself picks among keys that we already trust, and nothing more: `alg` is pinned per key; `kid`
   is looked up and never followed; `jku`, `x5u`, `jwk` and `x5c` are not read at all.
2. Nothing raised here contains any part of a token.
"""

import json
from collections.abc import Callable
from typing import Any, Final

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
from joserfc.jwk import Key

from auth.errors import InvalidToken, Reason

LEEWAY_S: Final = 30  # clock skew between nodes
MAX_TOKEN_BYTES: Final = 8192  # ours have about 400; some issuers list a user's groups
MAX_HEADER_BYTES: Final = 2048  # in base64; some issuers send a certificate's thumbprints along


class _Registry(jws.JWSRegistry):
    """joserfc's rules, for at most one algorithm; header parameters that nobody knows are ignored (RFC 7515 §4)."""

    max_header_length = MAX_HEADER_BYTES

    def __init__(self, *algorithm: str) -> None:
        super().__init__(algorithms=algorithm, strict_check_header=False)

    def get_alg(self, name: str) -> JWSAlgModel:
        """joserfc's, without its warning a token of EdDSA, which RFC 9864 gave another name and issuers still use."""
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError(f"not {self.allowed}")
        return self.algorithms[name]


class Compact:
    """A token of the right form; nothing of what it says is trusted before `signed_by`.

    Raises: InvalidToken (TOO_LARGE, MALFORMED).
    """

    def __init__(self, token: str) -> None:
        if len(token) > MAX_TOKEN_BYTES:
            raise InvalidToken(Reason.TOO_LARGE)
        try:
            self._parts = jws.extract_compact(token.encode("ascii"), registry=_Registry())
        except (JoseError, ValueError):
            raise InvalidToken(Reason.MALFORMED) from None
        header: object = self._parts.protected
        if not isinstance(header, dict) or "crit" in header:
            raise InvalidToken(Reason.MALFORMED)
        self.header: dict[str, Any] = header

    @property
    def kid(self) -> str:
        """The name of the key that is said to have signed it.

        Raises: InvalidToken (MALFORMED).
        """
        kid = self.header.get("kid")
        if not isinstance(kid, str):
            raise InvalidToken(Reason.MALFORMED)
        return kid

    def signed_by(self, key: Key, algorithm: str) -> dict[str, Any]:
        """The claims, if this key signed them with this algorithm; not yet checked otherwise.

        Neither is the token's to choose: the algorithm is the key's.

        Raises: InvalidToken (BAD_SIGNATURE, MALFORMED).
        """
        try:
            is_signed = jws.validate_compact(self._parts, key, registry=_Registry(algorithm))
        except BadSignatureError:
            is_signed = False
        except JoseError:  # a header that the library will not have beside ours
            raise InvalidToken(Reason.MALFORMED) from None
        if not is_signed:
            raise InvalidToken(Reason.BAD_SIGNATURE)
        return self.unverified_claims()

    def unverified_claims(self) -> dict[str, Any]:
        """What anybody may have written.

        Raises: InvalidToken (MALFORMED).
        """
        try:
            claims = json.loads(self._parts.payload or b"")
        except (ValueError, RecursionError):
            raise InvalidToken(Reason.MALFORMED) from None
        if not isinstance(claims, dict):
            raise InvalidToken(Reason.MALFORMED)
        return claims


class Required:
    """The claims that must be there, and for some of them their value; `exp`, `nbf` and `iat` must fit the clock."""

    def __init__(self, now: Callable[[], float], *names: str, **values: str) -> None:
        required: dict[str, Any] = {name: {"essential": True} for name in names}
        required |= {name: {"essential": True, "value": value} for name, value in values.items()}
        self._registry = jwt.JWTClaimsRegistry(now=lambda: int(now()), leeway=LEEWAY_S, **required)

    def check(self, claims: dict[str, Any]) -> None:
        """Return if all is well.

        Raises: InvalidToken.
        """
        try:
            self._registry.validate(claims)
        except JoseError as error:
            raise InvalidToken(_reason_of(error)) from None


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
