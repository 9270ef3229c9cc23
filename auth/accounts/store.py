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

    async def set_password_hash(self, user_id: int, password_hash: str) -> None:
        """Replace the stored hash."""
        ...
