"""Seam: the accounts. `storage.accounts` meets it."""

from typing import Protocol

from storage.records import Account, Person


class Accounts(Protocol):
    """Users and their password hashes. Every method raises StorageUnavailable when the database does not answer."""

    async def create(self, login: str, password_hash: str, first_name: str = "", last_name: str = "") -> Person:
        """A new user.

        Raises: LoginTaken (letter case aside).
        """
        ...

    async def by_login(self, login: str) -> Account | None:
        """The account with this login, letter case aside."""
        ...

    async def set_password_hash(self, user_id: int, password_hash: str) -> None:
        """Replace the stored hash."""
        ...
