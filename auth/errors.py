"""Everything that auth raises.

AuthError
├── InvalidToken      this token opens nothing; its `reason` says why, never quoting the token
├── KeysUnavailable   the keys could not be read, so nothing can be said about the token
├── UnusableKeys      what is at JWKS_URL is no key set
├── CannotDecrypt     a secret in the database was encrypted with another key, or changed since
├── WrongKeysSecret   no given KEYS_SECRET opens the data key, or the data key is missing
├── HookFailed        the operator's hook did not take a call
└── Overloaded        too much work is waiting already; come back in a moment
"""

from enum import StrEnum


class AuthError(Exception):
    """Base of this package's errors."""


class InvalidTokenReason(StrEnum):
    """Why a token is refused: stable, for log fields and tests; a client is told no more than 401."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    WRONG_TYPE = "wrong_type"
    WRONG_ALGORITHM = "wrong_algorithm"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    MISSING_CLAIM = "missing_claim"
    INVALID_CLAIM = "invalid_claim"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    WRONG_ISSUER = "wrong_issuer"
    WRONG_AUDIENCE = "wrong_audience"
    BAD_SUBJECT = "bad_subject"


class InvalidToken(AuthError):
    """This token opens nothing; `reason` says why."""

    def __init__(self, reason: InvalidTokenReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class KeysUnavailable(AuthError):
    """The public keys could not be read in time: the token may be good, and may be tried again."""


class UnusableKeys(AuthError):
    """The document at JWKS_URL is no JWKS, or too large."""


class HookFailed(AuthError):
    """The operator's hook did not respond in time, or not with success; the text contains no secret."""


class Overloaded(AuthError):
    """Too much of this work is waiting already; try again in a second or so."""


class CannotDecrypt(AuthError):
    """A secret in the database was encrypted with another key or for another row, or changed since."""


class WrongKeysSecret(AuthError):
    """None of the given secrets opens the data key in the database, or the data key is missing."""
