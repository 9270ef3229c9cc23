"""Names and pictures of external users follow their issuer's tokens.

Invariants: what a service has set stays (`kept_fields`) until a service sets it to "" again; of two tokens the one that
was issued later counts; a user is written at most once in WRITE_INTERVAL_S, over all nodes; a token that says nothing
new costs no statement. A failed write is left to the next token.
"""

import logging
from collections.abc import Callable
from time import time
from typing import Final

from storage.database.database import Database, Row
from storage.errors import StorageUnavailable
from storage.log.event_rows import PERSON_COLUMNS, person_of
from storage.models import User
from storage.names import cleaned
from storage.profile_records import ClaimedProfile
from storage.records import Person

WRITE_INTERVAL_S: Final = 60
MAX_NAME: Final = 150
"""Characters of a name; a longer one in a token is cut."""
MAX_URL: Final = 2048
"""Characters of a picture's URL; a longer one in a token is ignored."""
FOLLOWED_COLUMNS: Final = "u.avatar_url, u.kept_fields, i.claims_issued_at, i.claims_written_at"
"""The columns of a user `u` and an identity `i` that `follow` reads, beside those of a person."""

# Whoever gets the row writes the names: one token of a user a minute.
_TAKE_TURN: Final = """
    UPDATE identities SET claims_issued_at = $2, claims_written_at = $3
    WHERE user_id = $1 AND claims_issued_at <= $2 AND claims_written_at <= $4 RETURNING user_id"""
_READ_AGAIN: Final = f"SELECT {PERSON_COLUMNS}, u.avatar_url, u.kept_fields FROM users u WHERE u.id = $1"

_log = logging.getLogger(__name__)


class ClaimedProfiles:
    """Writes what tokens say about their users."""

    def __init__(self, database: Database, now: Callable[[], float] = time) -> None:
        self._database = database
        self._now = now

    async def follow(self, person: Person, row: Row, claimed: ClaimedProfile) -> Person:
        """The person with the names in `claimed`, which are written if they are new; `row` is the stored user.

        A database that fails meanwhile changes nothing.
        """
        if not _news(row, claimed):
            return person
        now = int(self._now())
        if claimed.issued_at < row["claims_issued_at"] or row["claims_written_at"] > now - WRITE_INTERVAL_S:
            return person
        try:
            return await self._write(person, claimed, now)
        except StorageUnavailable as error:
            _log.warning("a user's names were not written: %s", error)
            return person

    async def _write(self, person: Person, claimed: ClaimedProfile, now: int) -> Person:
        async with self._database.transaction() as client:
            turn = [person.id, claimed.issued_at, now, now - WRITE_INTERVAL_S]
            has_turn = await client.execute_query_dict(self._database.dialect(_TAKE_TURN), turn)
            # Without the turn another token has just written the names, which were not there when `person` was read.
            (row,) = await client.execute_query_dict(self._database.dialect(_READ_AGAIN), [person.id])
            news = _news(row, claimed) if has_turn else {}
            if news:
                await User.filter(id=person.id).update(**news, changed_at=int(self._now() * 1000))
            return person_of(row | news, "id")


def _news(row: Row, claimed: ClaimedProfile) -> dict[str, str]:
    """The columns that the token changes, as they may be stored."""
    kept = row["kept_fields"].split(",")
    news = {}
    for field in ("display_name", "first_name", "last_name"):
        said: str = getattr(claimed, field)
        if said and said != row[field] and field not in kept:
            name = cleaned(said, MAX_NAME)
            if name and name != row[field]:
                news[field] = name
    url = claimed.avatar_url
    if url and url != row["avatar_url"] and "avatar_url" not in kept and is_picture_url(url):
        news["avatar_url"] = url
    return news


def is_picture_url(text: str) -> bool:
    """Whether this may be the URL of a picture: http or https, without spaces, of at most MAX_URL characters."""
    if len(text) > MAX_URL or not text.startswith(("https://", "http://")):
        return False
    return text.isprintable() and " " not in text
