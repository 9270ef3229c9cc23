"""Accounts: users with a login and a password hash."""

from collections.abc import Callable, Sequence
from time import time

from tortoise.exceptions import IntegrityError

from storage.auth_records import Account
from storage.database.coalescer import Coalescer
from storage.database.database import Database
from storage.errors import LoginTaken, UnknownInvitation
from storage.log.event_rows import PERSON_COLUMNS, person_of
from storage.models import User
from storage.records import Person, is_id
from storage.repositories.auth.login_sessions import end_sessions
from storage.repositories.auth.one_use_tokens import Invitations, ResetTokens, use_invitation, use_reset_token
from storage.repositories.auth.second_factors import SecondFactors


class Accounts:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(
        self, database: Database, now: Callable[[], float] = time, factors: SecondFactors | None = None
    ) -> None:
        self._database = database
        self._now = now
        self.invitations = Invitations(database, now)
        self.resets = ResetTokens(database, now)
        self.factors = factors or SecondFactors(database)
        self._people = f"SELECT {PERSON_COLUMNS} FROM users u WHERE u.id {database.among('$1')} AND u.erased_at IS NULL"
        self._person = Coalescer(self._by_ids)

    async def create(
        self, login: str, password_hash: str, first_name: str = "", last_name: str = "", invitation: str | None = None
    ) -> Person:
        """Create an account, and use up the invitation with this digest in the same transaction.

        Raises: LoginTaken (letter case is ignored), UnknownInvitation.
        """
        try:
            async with self._database.transaction():
                if invitation is not None and not await use_invitation(invitation, login, self._now()):
                    raise UnknownInvitation
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
        return None if user is None else _account(user)

    async def by_user_id(self, user_id: int) -> Account | None:
        """The account with this id."""
        if not is_id(user_id):
            return None
        async with self._database.session():
            user = await User.get_or_none(id=user_id)
        return None if user is None else _account(user)

    async def by_id(self, user_id: int) -> Person | None:
        """The person with this id."""
        return await self._person.ask(user_id) if is_id(user_id) else None

    async def _by_ids(self, user_ids: Sequence[int]) -> dict[int, Person]:
        rows = await self._database.fetch(self._people, self._database.ids(user_ids))
        return {row["id"]: person_of(row, "id") for row in rows}

    async def replace_hash(self, user_id: int, replaced: str, password_hash: str) -> bool:
        """Replace the hash by one of the same password; False if it is not `replaced` any more."""
        async with self._database.transaction():
            return await _replace_hash(user_id, replaced, password_hash)

    async def change_password(
        self, user_id: int, replaced: str, password_hash: str, *, session_id: str = "", jti: str = ""
    ) -> bool:
        """Replace the hash, end the user's sessions and revoke all tokens so far, in one transaction.

        The session of this id stays, and so does the token with this jti. False if the hash is not `replaced` any more.
        """
        async with self._database.transaction():
            if not await _replace_hash(user_id, replaced, password_hash):
                return False
            await end_sessions(user_id, self._now(), session_id=session_id, jti=jti)
        return True

    async def reset_password(self, digest: str, password_hash: str) -> bool:
        """Use up the token to reset a password, replace the hash, end all sessions and revoke all tokens, at once.

        False if the token is not valid; of concurrent callers one succeeds.
        """
        async with self._database.transaction():
            user_id = await use_reset_token(digest, self._now())
            if user_id is None:
                return False
            await User.filter(id=user_id).update(password_hash=password_hash)
            await end_sessions(user_id, self._now())
        return True


async def _replace_hash(user_id: int, replaced: str, password_hash: str) -> bool:
    if not is_id(user_id):
        return False
    return bool(await User.filter(id=user_id, password_hash=replaced).update(password_hash=password_hash))


def _account(user: User) -> Account:
    return Account(_person(user), user.password_hash)


def _person(user: User) -> Person:
    return Person(user.id, user.login, user.first_name, user.last_name, user.display_name)
