"""What applications keep of users: names, a picture, data of their own."""

from collections.abc import Callable, Mapping, Sequence
from time import time
from typing import Final

from tortoise.exceptions import IntegrityError

from storage.database.database import Database, Row
from storage.errors import LoginTaken
from storage.log.event_rows import PERSON_COLUMNS, person_of
from storage.models import User
from storage.records import Person, Profile, are_ids

_PROFILES: Final = f"""
    SELECT {PERSON_COLUMNS}, u.avatar_url, u.data, i.issuer, i.subject
    FROM users u LEFT JOIN identities i ON i.user_id = u.id"""
_CHANGED: Final = f"""
    SELECT {PERSON_COLUMNS}, u.changed_at FROM users u
    WHERE (u.changed_at, u.id) > ($1, $2) ORDER BY u.changed_at, u.id LIMIT $3"""
_KEPT: Final = frozenset({"display_name", "first_name", "last_name", "avatar_url"})


class Profiles:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database, now: Callable[[], float] = time) -> None:
        self._database = database
        self._now = now
        self._by_ids = f"{_PROFILES} WHERE u.id {database.among('$1')} AND u.erased_at IS NULL"

    async def by_ids(self, user_ids: Sequence[int]) -> list[Profile]:
        """The profiles of those ids that are users, by id."""
        return _profiles(await self._database.fetch(self._by_ids, self._database.ids(user_ids)))

    async def by_subjects(self, issuer: str, subjects: Sequence[str]) -> list[Profile]:
        """The profiles of those whom this issuer calls so, by id."""
        places = ", ".join(f"${number}" for number in range(2, len(subjects) + 2))
        query = f"{_PROFILES} WHERE i.issuer = $1 AND i.subject IN ({places})"
        return _profiles(await self._database.fetch(query, issuer, *subjects)) if subjects else []

    async def by_usernames(self, usernames: Sequence[str]) -> list[Profile]:
        """The profiles of the users with these usernames, in any case, by id."""
        logins = [name.casefold() for name in usernames if ":" not in name]  # with a colon it is not a person's
        places = ", ".join(f"${number}" for number in range(1, len(logins) + 1))
        query = f"{_PROFILES} WHERE u.login_folded IN ({places}) AND u.erased_at IS NULL"
        return _profiles(await self._database.fetch(query, *logins)) if logins else []

    async def changed_since(self, moment: int, user_id: int, limit: int) -> list[tuple[int, Person]]:
        """At most `limit` people with the times when their names changed, in Unix milliseconds, in their order.

        It begins after this time and, within its millisecond, this user.
        """
        rows = await self._database.fetch(_CHANGED, moment, user_id, limit)
        return [(row["changed_at"], person_of(row, "id")) for row in rows]

    async def change(self, user_id: int, changes: Mapping[str, str]) -> Profile | None:
        """Set these columns of `users` (`login` too), and return the profile; None if there is no such user.

        Names and picture that are set here no longer follow the tokens of an external issuer; "" lets them.
        Raises: LoginTaken.
        """
        if changes and are_ids(user_id):
            try:
                async with self._database.transaction():
                    await self._update(user_id, changes)
            except IntegrityError as error:
                raise LoginTaken(changes.get("login", "")) from error
        found = await self.by_ids([user_id])
        return found[0] if found else None

    async def _update(self, user_id: int, changes: Mapping[str, str]) -> None:
        known = User.filter(id=user_id, erased_at=None).only("id", "kept_fields")
        user = await known.select_for_update(no_key=True).first()
        if user is None:
            return
        values: dict[str, object] = dict(changes)
        if "login" in changes:
            values["login_folded"] = changes["login"].casefold()
        if named := _KEPT & changes.keys():
            kept = (set(user.kept_fields.split(",")) - {""} - named) | {field for field in named if changes[field]}
            values["kept_fields"] = ",".join(sorted(kept))
        values["changed_at"] = int(self._now() * 1000)
        await User.filter(id=user_id).update(**values)


def _profiles(rows: Sequence[Row]) -> list[Profile]:
    profiles = [
        Profile(person_of(row, "id"), row["avatar_url"], row["data"], row["issuer"], row["subject"]) for row in rows
    ]
    return sorted(profiles, key=lambda profile: profile.person.id)
