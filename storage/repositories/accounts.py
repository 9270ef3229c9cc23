"""Accounts: users with a login and a password hash."""

from collections.abc import Sequence

from tortoise.exceptions import IntegrityError

from storage.database.coalescer import Coalescer
from storage.database.database import Database
from storage.errors import LoginTaken, UnknownUser
from storage.log.event_rows import person_of
from storage.models import User
from storage.records import Account, Person, is_id


class Accounts:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._people = f"SELECT id, login, first_name, last_name FROM users WHERE id {database.among('$1')}"
        self._person = Coalescer(self._by_ids)

    async def create(self, login: str, password_hash: str, first_name: str = "", last_name: str = "") -> Person:
        """Create an account.

        Raises: LoginTaken (letter case is ignored).
        """
        try:
            async with self._database.transaction():
                user = await User.create(
                    login=login,
                    login_folded=login.casefold(),
                    password_hash=password_hash,
                    first_name=first_name,
                    last_name=last_name,
                )
        except IntegrityError as error:
            raise LoginTaken(login) from error
        return _person(user)

    async def by_login(self, login: str) -> Account | None:
        """The account with this login; letter case is ignored."""
        async with self._database.session():
            user = await User.get_or_none(login_folded=login.casefold())
        return None if user is None else Account(_person(user), user.password_hash)

    async def by_id(self, user_id: int) -> Person | None:
        """The person with this id."""
        return await self._person.ask(user_id) if is_id(user_id) else None

    async def _by_ids(self, user_ids: Sequence[int]) -> dict[int, Person]:
        rows = await self._database.fetch(self._people, self._database.ids(user_ids))
        return {row["id"]: person_of(row, "id") for row in rows}

    async def set_password_hash(self, user_id: int, password_hash: str) -> None:
        """Replace the hash (for another password or better parameters).

        Raises: UnknownUser.
        """
        async with self._database.transaction():
            if not is_id(user_id) or not await User.filter(id=user_id).update(password_hash=password_hash):
                raise UnknownUser(user_id)


def _person(user: User) -> Person:
    return Person(user.id, user.login, user.first_name, user.last_name)
