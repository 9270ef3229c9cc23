"""Guests (seed 002): a token for one room, under a name and an address that the caller chooses."""

import logging
import re
from collections.abc import Callable, Iterator
from typing import Final

from auth.tokens.access_tokens import GuestIssuer
from auth.tokens.key_ring import KeyRing
from httpapi.audit.facts import note
from httpapi.errors import BrokenRule
from storage.names import is_name

MAX_USERNAME: Final = 64
MAX_EMAIL: Final = 254  # RFC 5321 §4.5.3.1.3, without the angle brackets
MAX_ROOM_ID: Final = 255

EMAIL_PATTERN: Final = r"^[^@\s]+@[^@\s]+$"
_EMAIL: Final = re.compile(EMAIL_PATTERN)

log = logging.getLogger("auth")


class Guests:
    """Issues guest tokens; the route decides which callers get them."""

    def __init__(self, keys: KeyRing, issuer: GuestIssuer, on_issued: Callable[[], None] = lambda: None) -> None:
        self._keys = keys
        self._issuer = issuer
        self._on_issued = on_issued

    async def token(self, username: str, email: str, room_id: str) -> str | list[BrokenRule]:
        """A guest token, or every broken rule.

        Raises: StorageUnavailable.
        """
        if broken := [*_broken_rules(username, email, room_id)]:
            return broken
        token = self._issuer.issue(await self._keys.signing_key(), username, email, room_id)
        note(room_id=room_id)
        self._on_issued()
        log.info("guest_token_issued")
        return token


def _broken_rules(username: str, email: str, room_id: str) -> Iterator[BrokenRule]:
    if len(username) > MAX_USERNAME or not is_name(username):
        detail = f"A username has 1 to {MAX_USERNAME} characters, none of them a control or invisible character."
        yield BrokenRule("username", "invalid_username", detail)
    if len(email) > MAX_EMAIL or not email.isprintable() or not _EMAIL.fullmatch(email):
        yield BrokenRule("email", "invalid_email", "An email looks like name@example.com.")
    if not 1 <= len(room_id) <= MAX_ROOM_ID or "\0" in room_id or not room_id.strip():
        detail = f"A room_id has 1 to {MAX_ROOM_ID} characters that can be stored."
        yield BrokenRule("room_id", "invalid_room_id", detail)
