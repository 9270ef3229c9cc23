"""Logins that can be renewed: a refresh token is used once, and replaced by its successor (RFC 9700 §4.14.2).

Keeps: a refresh token has 256 random bits, and only its digest is stored. Its successor is derived from it and a secret
of the session, so that a client that lost the response, or that asked twice at once, gets the same successor again for
GRACE_S. Any other use of an earlier token means that it was stolen: the session ends, with its access tokens.
"""

import hashlib
import hmac
import logging
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from msgspec.structs import replace

from auth.events import RefreshResult
from auth.tokens.access_tokens import Claims, Issuer
from auth.tokens.jws import LEEWAY_S
from auth.tokens.key_ring import KeyRing
from httpapi.audit.facts import note, note_user
from storage.auth_records import LoginListing, RenewableLogin
from storage.records import Person

log = logging.getLogger("auth")

GRACE_S: Final = 30
"""How long the token before the latest one gets its successor again."""

_TOKEN: Final = re.compile(r"rt_([0-9a-f]{32})_[A-Za-z0-9_-]{43}")
"""Its first part leads to the session's id, but not back: access tokens contain the id (`sid`)."""
_MAX_LENGTH: Final = 128


class SessionStore(Protocol):
    """Implemented by `storage.repositories.auth`; every method raises StorageUnavailable. Times are in Unix seconds."""

    async def add(
        self,
        user_id: int,
        session_id: str,
        secret: str,
        digest: str,
        created_at: int,
        expires_at: int,
        user_agent: str = "",
    ) -> None:
        """Store a new session; a long `user_agent` is cut."""
        ...

    async def find(self, session_id: str) -> RenewableLogin | None:
        """The session; None if it has ended."""
        ...

    async def rotate(self, session_id: str, digest: str, successor: str, expires_at: int) -> bool:
        """Replace the token's digest by its successor's: of concurrent callers one succeeds."""
        ...

    async def end(self, user_id: int, session_id: str, access_expires_at: float) -> None:
        """End the user's session, and revoke its access tokens, which expire by `access_expires_at`."""
        ...

    async def end_existing(self, user_id: int, session_id: str, access_expires_at: float) -> bool:
        """As `end`; False, and nothing changes, if the user has no such session."""
        ...

    async def end_all(self, user_id: int) -> None:
        """End every session of the user, and revoke all tokens so far."""
        ...

    async def of_user(self, user_id: int) -> list[LoginListing]:
        """The user's sessions, the last used first; bounded."""
        ...

    async def revoke_token(self, user_id: int, jti: str, expires_at: float) -> None:
        """Revoke an access token without a session."""
        ...

    async def is_revoked(self, user_id: int, jti: str, session_id: str) -> bool:
        """Whether the user's access token with this jti, or of this session, is revoked by itself."""
        ...

    async def earliest_iat(self, user_id: int, jti: str = "", session_id: str = "") -> int:
        """The earliest `iat` of a token of this user that is not revoked; of this token, if its names are given."""
        ...

    async def is_banned(self, user_id: int) -> bool:
        """Whether the user is banned."""
        ...


@dataclass(frozen=True, slots=True)
class Tokens:
    """An access token; and the refresh token of a login that can be renewed, else ""."""

    access_token: str
    expires_in_s: int
    refresh_token: str = ""
    refresh_expires_in_s: int = 0


@dataclass(frozen=True, slots=True)
class Banned:
    """The user is banned, and gets no token."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The session of this refresh token has ended, or never existed."""


class Sessions:
    """Issues the tokens of logins; renews and ends them. Every method raises StorageUnavailable."""

    def __init__(
        self,
        store: SessionStore,
        keys: KeyRing,
        issuer: Issuer,
        lifetime_s: int,
        on_refresh: Callable[[RefreshResult], None] = lambda _: None,
        now: Callable[[], float] = time.time,
        *,
        longest_s: int = 180 * 24 * 3600,
    ) -> None:
        """A session that is not renewed for `lifetime_s` ends; every session ends after `longest_s`."""
        self._store = store
        self._keys = keys
        self._issuer = issuer
        self._lifetime_s = lifetime_s
        self._longest_s = longest_s
        self._on_refresh = on_refresh
        self._now = now

    async def start(self, person: Person, *, renewable: bool, user_agent: str = "") -> Tokens | Banned:
        """The tokens of a new login of this user, from a client that calls itself `user_agent`."""
        if await self._store.is_banned(person.id):
            return Banned()
        earliest_iat = await self._store.earliest_iat(person.id)
        now = int(self._now())
        if not renewable:
            return await self._tokens(person, "", "", earliest_iat, 0, now)
        part = secrets.token_hex(16)
        session_id = _session_id(part)
        note(session=session_id)
        refresh_token = f"rt_{part}_{secrets.token_urlsafe(32)}"
        created_at = max(now, earliest_iat)
        secret, digest = secrets.token_hex(32), _digest(refresh_token)
        lasts_s = self._lasts_s(now, created_at)
        await self._store.add(person.id, session_id, secret, digest, created_at, now + lasts_s, user_agent)
        return await self._tokens(person, session_id, refresh_token, earliest_iat, lasts_s, created_at)

    async def refresh(self, refresh_token: str) -> Tokens | Banned | Ended:
        """New tokens for a refresh token, which cannot be used again (but see GRACE_S)."""
        outcome, result = await self._refreshed(refresh_token)
        note(reason=None if result == "granted" else result)
        self._on_refresh(result)
        return outcome

    async def end(self, refresh_token: str) -> bool:
        """End the session of this refresh token; returns whether it was the latest one of a session."""
        session = await self._latest(refresh_token)
        if session is None:
            return False
        note_user(session.person.id)
        note(user_id=session.person.id, session=session.session_id)
        await self._end(session)
        return True

    async def is_in_effect(self, claims: Claims) -> bool:
        """Whether this verified access token is not revoked: a revoked one must end nothing any more."""
        if claims.issued_at < await self._store.earliest_iat(claims.user_id, claims.jti, claims.session_id):
            return False
        return not await self._store.is_revoked(claims.user_id, claims.jti, claims.session_id)

    async def is_banned(self, user_id: int) -> bool:
        """Whether the user is banned."""
        return await self._store.is_banned(user_id)

    async def discard(self, user_id: int, tokens: Tokens) -> None:
        """End the session of tokens that no client has received."""
        if parts := _TOKEN.fullmatch(tokens.refresh_token):
            await self._store.end(user_id, _session_id(parts[1]), self._access_expires_at())

    async def end_by_access(self, claims: Claims) -> None:
        """End the session of this access token; without one, revoke the token."""
        if claims.session_id:
            await self._store.end(claims.user_id, claims.session_id, self._access_expires_at())
        else:
            await self._store.revoke_token(claims.user_id, claims.jti, claims.expires_at)

    async def end_all(self, user_id: int) -> None:
        """End every session of the user, and revoke all tokens so far."""
        await self._store.end_all(user_id)

    async def of_user(self, user_id: int) -> list[LoginListing]:
        """The sessions of the user that can be renewed, the last used first."""
        earliest_iat = await self._store.earliest_iat(user_id)
        listed = await self._store.of_user(user_id)
        return [
            replace(each, expires_at=min(each.expires_at, each.created_at + self._longest_s))
            for each in listed
            if self._is_alive(each, earliest_iat)
        ]

    async def end_one(self, user_id: int, session_id: str) -> bool:
        """End this session of the user and revoke its access tokens; False if there is none."""
        return await self._store.end_existing(user_id, session_id, self._access_expires_at())

    async def user_of(self, refresh_token: str) -> int | None:
        """The id of the user whose latest refresh token this is; None if it is not valid."""
        session = await self._latest(refresh_token)
        return None if session is None else session.person.id

    async def _refreshed(self, refresh_token: str) -> tuple[Tokens | Banned | Ended, RefreshResult]:
        session = await self._find(refresh_token)
        if session is None:
            return Ended(), "ended"
        user_id = session.person.id
        note(user_id=user_id, session=session.session_id)
        if await self._store.is_banned(user_id):
            return Banned(), "banned"
        # read before the rotation: of a logout in between, the new access token is revoked too
        earliest_iat = await self._store.earliest_iat(user_id)
        if not self._is_alive(session, earliest_iat):
            await self._end(session)
            return Ended(), "ended"
        digest, successor = _digest(refresh_token), _successor(session, refresh_token)
        now = int(self._now())
        lasts_s = self._lasts_s(now, session.created_at)
        is_latest = hmac.compare_digest(session.digest, digest)
        if not (is_latest and await self._store.rotate(session.session_id, digest, _digest(successor), now + lasts_s)):
            # an earlier token, or another request was faster
            latest = await self._store.find(session.session_id)
            if latest is None:
                return Ended(), "ended"
            is_previous = hmac.compare_digest(latest.previous_digest, digest)
            if not is_previous or self._now() - latest.rotated_at > GRACE_S:
                await self._end(latest)
                log.warning("refresh_token_reused", extra={"fields": {"user_id": user_id}})
                return Ended(), "reused"
        note_user(user_id)
        times = earliest_iat, lasts_s, session.created_at
        return await self._tokens(session.person, session.session_id, successor, *times), "granted"

    async def _latest(self, refresh_token: str) -> RenewableLogin | None:
        session = await self._find(refresh_token)
        if session is None or not hmac.compare_digest(session.digest, _digest(refresh_token)):
            return None
        return session

    async def _find(self, refresh_token: str) -> RenewableLogin | None:
        if len(refresh_token) > _MAX_LENGTH or (parts := _TOKEN.fullmatch(refresh_token)) is None:
            return None
        return await self._store.find(_session_id(parts[1]))

    def _lasts_s(self, now: int, created_at: int) -> int:
        return min(self._lifetime_s, created_at + self._longest_s - now)

    def _is_alive(self, session: RenewableLogin | LoginListing, earliest_iat: int) -> bool:
        expires_at = min(session.expires_at, session.created_at + self._longest_s)
        return expires_at > self._now() and session.created_at >= earliest_iat

    async def _tokens(
        self,
        person: Person,
        session_id: str,
        refresh_token: str,
        earliest_iat: int,
        refresh_expires_in_s: int,
        authenticated_at: int,
    ) -> Tokens:
        key = await self._keys.signing_key()
        access_token = self._issuer.issue(
            key,
            person.id,
            person.username,
            session_id=session_id,
            earliest_iat=earliest_iat,
            authenticated_at=authenticated_at,
        )
        return Tokens(access_token, self._issuer.lifetime_s, refresh_token, refresh_expires_in_s)

    async def _end(self, session: RenewableLogin) -> None:
        await self._store.end(session.person.id, session.session_id, self._access_expires_at())

    def _access_expires_at(self) -> float:
        return self._now() + self._issuer.lifetime_s + LEEWAY_S


def _digest(refresh_token: str) -> str:
    return hashlib.sha256(refresh_token.encode()).hexdigest()


def _successor(session: RenewableLogin, refresh_token: str) -> str:
    derived = hmac.digest(bytes.fromhex(session.secret), refresh_token.encode(), "sha256")
    return f"{refresh_token[:35]}_{urlsafe_b64encode(derived).rstrip(b'=').decode()}"


def _session_id(part: str) -> str:
    return hashlib.sha256(part.encode()).hexdigest()[:32]
