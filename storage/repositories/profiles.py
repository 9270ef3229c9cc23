"""What applications keep of users: names, a picture, data of their own."""

from collections.abc import Mapping, Sequence
from typing import Final

from tortoise.exceptions import IntegrityError

from storage.database.database import Database
from storage.errors import LoginTaken
from storage.log.event_rows import person_of
from storage.models import User
from storage.records import Profile, are_ids

_PROFILES: Final = """
    SELECT u.id, u.login, u.first_name, u.last_name, u.display_name, u.avatar_url, u.data, i.issuer, i.subject
    FROM users u LEFT JOIN identities i ON i.user_id = u.id"""


class Profiles:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_ids = f"{_PROFILES} WHERE u.id {database.among('$1')}"

    async def by_ids(self, user_ids: Sequence[int]) -> list[Profile]:
        """The profiles of those ids that are users, by id."""
        return _profiles(await self._database.fetch(self._by_ids, self._database.ids(user_ids)))

    async def by_subjects(self, issuer: str, subjects: Sequence[str]) -> list[Profile]:
        """The profiles of those whom this issuer calls so, by id."""
        places = ", ".join(f"${number}" for number in range(2, len(subjects) + 2))
        query = f"{_PROFILES} WHERE i.issuer = $1 AND i.subject IN ({places})"
        return _profiles(await self._database.fetch(query, issuer, *subjects)) if subjects else []

    async def change(self, user_id: int, changes: Mapping[str, str]) -> Profile | None:
        """Set these columns of `users` (`login` too), and return the profile; None if there is no such user.

        Raises: LoginTaken.
        """
        values = dict(changes)
        if "login" in values:
            values["login_folded"] = values["login"].casefold()
        if values and are_ids(user_id):
            try:
                async with self._database.transaction():
                    await User.filter(id=user_id).update(**values)
            except IntegrityError as error:
                raise LoginTaken(values.get("login", "")) from error
        found = await self.by_ids([user_id])
        return found[0] if found else None


def _profiles(rows: Sequence[Mapping[str, object]]) -> list[Profile]:
    profiles = [
        Profile(
            person_of(row, "id"),
            str(row["display_name"]),
            str(row["avatar_url"]),
            str(row["data"]),
            None if row["issuer"] is None else str(row["issuer"]),
            None if row["subject"] is None else str(row["subject"]),
        )
        for row in rows
    ]
    return sorted(profiles, key=lambda profile: profile.person.id)
