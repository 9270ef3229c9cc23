"""Making an account."""

import logging
from collections.abc import Callable

from auth.accounts import Accounts
from auth.passwords import Passwords
from auth.rules import BrokenRule, broken_rules
from storage.records import Person

log = logging.getLogger("auth")


class Registration:
    """Open to anyone who keeps the rules."""

    def __init__(
        self, accounts: Accounts, passwords: Passwords, on_registered: Callable[[], None] = lambda: None
    ) -> None:
        self._accounts = accounts
        self._passwords = passwords
        self._on_registered = on_registered

    async def register(
        self, login: str, password: str, first_name: str = "", last_name: str = ""
    ) -> Person | list[BrokenRule]:
        """The new user, or every rule that was broken.

        Raises: LoginTaken, StorageUnavailable, Overloaded.
        """
        if broken := broken_rules(login, password, first_name, last_name):
            return broken
        password_hash = await self._passwords.hash(password)
        person = await self._accounts.create(login, password_hash, first_name, last_name)
        self._on_registered()
        log.info("registered", extra={"fields": {"user_id": person.id}})
        return person
