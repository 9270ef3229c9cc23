"""Invitations: who has one may register once, where REGISTRATION=invite."""

import hashlib
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from auth.accounts.rules import broken_by_login
from auth.accounts.store import InvitationStore
from httpapi.errors import BrokenRule

log = logging.getLogger("auth")


@dataclass(frozen=True, slots=True)
class Invited:
    """A new invitation; `expires_at` is in Unix seconds."""

    token: str = field(repr=False)
    expires_at: int


class InvitationIssuer:
    """Creates invitations. Only their digests are stored."""

    def __init__(self, store: InvitationStore, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now

    async def create(self, service: str, login: str, lifetime_s: int) -> Invited | list[BrokenRule]:
        """An invitation for this login, or for any if it is empty.

        Raises: StorageUnavailable.
        """
        if login and (broken := list(broken_by_login(login))):
            return broken
        token = f"inv_{secrets.token_urlsafe(32)}"
        expires_at = int(self._now()) + lifetime_s
        await self._store.add(hashlib.sha256(token.encode()).hexdigest(), login, expires_at)
        log.info("invitation_created", extra={"fields": {"service": service, "expires_at": expires_at}})
        return Invited(token, expires_at)
