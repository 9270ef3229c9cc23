"""The values of accounts, tokens and keys that storage hands out, like those of `storage.records`."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from msgspec import Struct

from storage.records import Person


class RevocationKind(StrEnum):
    """What an entry of the log of revocations does."""

    JTI = "jti"  # one token
    SESSION = "session"  # the access tokens of one login
    ISSUED_BEFORE = "issued_before"  # the user's tokens that were issued before `moment`, except those of the digest
    BAN = "ban"  # the user, until `moment` or without an end
    UNBAN = "unban"  # an earlier ban has no effect any more


class RevocationEntry(Struct, frozen=True, gc=False):
    """An entry of the log of revocations; of two bans or unbans of a user the later entry counts.

    `moment` and `created_at` are in Unix seconds. `digest` is `name_digest` the token's jti or session.
    """

    id: int
    user_id: int
    kind: RevocationKind
    digest: str
    moment: int | None
    reason: str
    created_at: int


class Credential(Struct, frozen=True, gc=False):
    """What a verified token says about itself; times are in Unix seconds.

    `user_id` is None for a guest. A token without `iat` counts as issued at 0. The digests are `name_digest` of its jti
    and of the login that it renews, or empty. `authenticated_at` is when the user logged in, or 0: of a ticket too.
    """

    user_id: int | None
    expires_at: float
    issued_at: int = 0
    jti_digest: str = ""
    session_digest: str = ""
    authenticated_at: int = 0


def name_digest(name: str) -> str:
    """The digest by which a token is revoked: a jti of another issuer may be of any length. Empty for an empty name."""
    return name and sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class RenewableLogin:
    """A login with refresh tokens: digests of the latest token and of the one before. Times are in Unix seconds."""

    session_id: str
    person: Person
    secret: str = field(repr=False)
    digest: str
    previous_digest: str
    created_at: int
    rotated_at: int
    expires_at: int


MAX_USER_AGENT = 200
"""In characters, as the column has them."""


class LoginListing(Struct, frozen=True, gc=False):
    """A login as its user sees it; `user_agent` is the client's own word. Times are in Unix seconds."""

    session_id: str
    created_at: int
    used_at: int
    expires_at: int
    user_agent: str


class Account(Struct, frozen=True, gc=False):
    """A user as the auth service sees it."""

    person: Person
    password_hash: str


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """The secret of a user's one-time codes, in base32; logins need a code once it is confirmed."""

    secret: str = field(repr=False)
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair that signs tokens: `private_jwk` is its JWK as JSON, `kid` the RFC 7638 thumbprint.

    In the database `auth.encryption` has encrypted its private part.
    """

    kid: str
    private_jwk: str = field(repr=False)
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PublicSigningKey:
    """The public part of a key pair that signs tokens, as JSON."""

    jwk: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WrappedDataKey:
    """A key that encrypts secrets in the database, itself encrypted."""

    id: str
    wrapped: str
