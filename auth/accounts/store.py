"""The interface to the stored accounts. `storage.repositories.accounts` implements it."""

from typing import Protocol

from storage.records import Account, Person


class AccountStore(Protocol):
    """Users and their password hashes. Every method raises StorageUnavailable when the database does not answer."""

    async def create(self, login: str, password_hash: str, first_name: str = "", last_name: str = "") -> Person:
        """Create a user.

        Raises: LoginTaken (letter case is ignored).
        """
        ...

    async def by_login(self, login: str) -> Account | None:
        """The account with this login; letter case is ignored."""
        ...

    async def by_user_id(self, user_id: int) -> Account | None:
        """The account with this id."""
        ...

    async def replace_hash(self, user_id: int, replaced: str, password_hash: str) -> bool:
        """Replace the hash by one of the same password; False if it is not `replaced` any more."""
        ...

    async def change_password(
        self, user_id: int, replaced: str, password_hash: str, *, session_id: str = "", jti: str = ""
    ) -> bool:
        """Replace the hash, end the user's sessions and revoke all tokens so far, at once or not at all.

        The session of this id stays, and so does the token with this jti. False if the hash is not `replaced` any more.
        """
        ...
