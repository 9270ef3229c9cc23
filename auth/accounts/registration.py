"""Registration of an account."""

import hashlib
import logging

from auth.accounts.password_check import Limited
from auth.accounts.passwords import Passwords
from auth.accounts.registration_limits import RegistrationLimits
from auth.accounts.rules import broken_rules
from auth.accounts.store import AccountStore
from auth.events import SILENT, AuthEvents
from httpapi.audit.facts import note
from httpapi.errors import BrokenRule
from storage.errors import UnknownInvitation
from storage.records import Person

log = logging.getLogger("auth")


class Registration:
    """Open to every caller within the limits, or only to those with an invitation."""

    def __init__(
        self,
        accounts: AccountStore,
        passwords: Passwords,
        limits: RegistrationLimits,
        events: AuthEvents = SILENT,
        *,
        needs_invitation: bool = False,
    ) -> None:
        self._accounts = accounts
        self._passwords = passwords
        self._limits = limits
        self._events = events
        self._needs_invitation = needs_invitation

    async def register(
        self, login: str, password: str, first_name: str, last_name: str, address: str, invitation: str = ""
    ) -> Person | list[BrokenRule] | Limited:
        """The new user; or every rule that was broken; or how long this client has to wait.

        Raises: LoginTaken, UnknownInvitation, StorageUnavailable, Overloaded.
        """
        if broken := broken_rules(login, password, first_name, last_name):
            return broken
        if wait_s := await self._limits.count(address):
            note(reason="limited")
            self._events.registration_limited()
            return Limited(wait_s)
        digest = None
        if self._needs_invitation:
            digest = hashlib.sha256(invitation.encode("utf-8", "surrogatepass")).hexdigest()
            if not await self._accounts.invitations.has(digest, login):  # before a hash is spent
                raise UnknownInvitation
        password_hash = await self._passwords.hash(password)
        person = await self._accounts.create(login, password_hash, first_name, last_name, digest)
        note(user_id=person.id, login=person.username)
        self._events.registered()
        log.info("registered", extra={"fields": {"user_id": person.id}})
        return person
