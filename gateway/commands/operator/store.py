"""The database as these commands use it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.audit import record_command
from gateway.config import sources
from gateway.config.settings import Settings
from gateway.errors import CommandError
from httpapi.audit.events import Event
from storage.database.database import Database, open_database
from storage.database.store_identity import store_id
from storage.errors import UnknownUser
from storage.records import NewMember, Person
from storage.repositories.identities import Identities
from storage.repositories.members import resolve

SUBJECT: Final = "sub:"


@dataclass(frozen=True, slots=True)
class OpenStore:
    """The settings and the open database."""

    settings: Settings
    database: Database

    async def person(self, name: str) -> Person:
        """The user with this id, login, or `sub:` and subject of the external issuer.

        Raises: CommandError, StorageUnavailable.
        """
        if name.startswith(SUBJECT):
            subject = name.removeprefix(SUBJECT)
            people = await Identities(self.database).by_subjects([subject], self.settings.jwt_issuer)
            if subject in people:
                return people[subject]
            raise CommandError(f"No user has the subject {subject}.")
        by_id = name.isascii() and name.isdigit()
        wanted = NewMember(user_id=int(name)) if by_id else NewMember(login=name)
        try:
            async with self.database.session():
                (person,) = await resolve([wanted])
        except UnknownUser:
            raise CommandError(f"There is no user with the {'id' if by_id else 'login'} {name}.") from None
        return person

    async def record(
        self, event: Event, *, user_id: int | None = None, chat_id: int | None = None, **facts: str | int
    ) -> None:
        """Record in the audit log what the command has done."""
        await record_command(self.settings, self.database, event, user_id=user_id, chat_id=chat_id, **facts)


@asynccontextmanager
async def open_store() -> AsyncIterator[OpenStore]:
    """The migrated database of the settings.

    Raises: SettingsError, StorageUnavailable, PermissionDenied.
    """
    settings = sources.load()
    async with open_database(settings.database_url) as database:
        await store_id(database)  # the error before the first migration
        yield OpenStore(settings, database)


def shown_time(unix_s: float) -> str:
    """A time in UTC, to the second."""
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


def read_time(raw: str) -> float:
    """Unix seconds of a time in ISO 8601 with an offset, or of a date, which begins in UTC.

    Raises: CommandError.
    """
    try:
        moment = datetime.fromisoformat(raw)
    except ValueError:
        raise CommandError(f"{raw} is no time; give one like 2030-01-01T12:00:00Z or 2030-01-01.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
