"""Guests (seed 002): whoever asks gets a token for one room, under the name and address that they give themselves."""

import logging
import re
from collections.abc import Callable, Iterator
from typing import Final

from auth.keys import KeyRing
from auth.rules import BrokenRule
from auth.tokens import GuestIssuer

MAX_USERNAME: Final = 64
MAX_EMAIL: Final = 254  # RFC 5321 §4.5.3.1.3, without the angle brackets
MAX_ROOM_ID: Final = 255

EMAIL_PATTERN: Final = r"^[^@\s]+@[^@\s]+$"
_EMAIL: Final = re.compile(EMAIL_PATTERN)

log = logging.getLogger("auth")


class Guests:
    """Gives out guest tokens; who may ask is the route's to say."""

    def __init__(self, keys: KeyRing, issuer: GuestIssuer, on_issued: Callable[[], None] = lambda: None) -> None:
        self._keys = keys
        self._issuer = issuer
        self._on_issued = on_issued

    async def token(self, username: str, email: str, room_id: str) -> str | list[BrokenRule]:
        """A guest token, or every rule that was broken.

        Raises: StorageUnavailable.
        """
        if broken := [*_broken_rules(username, email, room_id)]:
            return broken
        token = self._issuer.issue(await self._keys.signing_key(), username, email, room_id)
        self._on_issued()
        log.info("guest_token_issued")
        return token


def _broken_rules(username: str, email: str, room_id: str) -> Iterator[BrokenRule]:
    if not 1 <= len(username) <= MAX_USERNAME or not username.isprintable() or not username.strip():
        detail = f"A username has 1 to {MAX_USERNAME} characters, none of them a control character."
        yield BrokenRule("username", "invalid_username", detail)
    if len(email) > MAX_EMAIL or not email.isprintable() or not _EMAIL.fullmatch(email):
        yield BrokenRule("email", "invalid_email", "An email looks like name@example.com.")
    if not 1 <= len(room_id) <= MAX_ROOM_ID or "\0" in room_id or not room_id.strip():
        detail = f"A room_id has 1 to {MAX_ROOM_ID} characters that can be stored."
        yield BrokenRule("room_id", "invalid_room_id", detail)
