"""Who may create chats of staff, and whom a user may add to chats.

A service, which has no user id, may do both. Whoever blocks the caller looks like a user who does not exist; both count
towards the caller's limit, so that names cannot be tried out faster than that.
"""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import Final

from gateway.config.choices import Adding, StaffChats
from gateway.errors import AddingForbidden, TooManyStrangers
from gateway.interfaces.rate_limits import WINDOW_S, RateLimited, RateLimits
from gateway.interfaces.rights import Contacts, Staff
from storage.errors import UnknownUser
from storage.records import ChatKind, NewMember, Person, Relation

_STAFF_KINDS: Final = frozenset({ChatKind.SERVICE, ChatKind.SUPPORT})


class ChatPolicy:
    """Every method raises StorageUnavailable. `limits` admits `most` strangers per user and window; 0: any number."""

    def __init__(
        self,
        staff: Staff,
        contacts: Contacts,
        limits: RateLimits,
        *,
        most: int,
        staff_chats: StaffChats,
        adding: Adding,
        on_limited: Callable[[], None] = lambda: None,
    ) -> None:
        self._staff = staff
        self._contacts = contacts
        self._limits = limits
        self._most = most
        self._staff_chats = staff_chats
        self._adding = adding
        self._on_limited = on_limited

    async def gives_staff_roles(self, actor_id: int | None) -> bool:
        """Whether the caller may create service and support chats and make members their staff."""
        return self._staff_chats is StaffChats.ANYONE or actor_id is None or await self._staff.is_staff(actor_id)

    async def may_create(self, actor_id: int | None, kind: ChatKind) -> bool:
        """Whether the caller may create a chat of this kind."""
        return kind not in _STAFF_KINDS or await self.gives_staff_roles(actor_id)

    @staticmethod
    def joins(actor: Person | None, member: NewMember) -> bool:
        """Whether the caller names itself."""
        return actor is not None and _names(member, actor)

    async def check_additions(self, actor: Person | None, members: Sequence[NewMember]) -> None:
        """Check that the caller may add these users to a chat; the caller itself may be among them.

        Raises: AddingForbidden, TooManyStrangers, UnknownUser, InvalidMembers.
        """
        if actor is None:
            return
        others = [member for member in members if not self.joins(actor, member)]
        if not others:
            return
        relations = await self._contacts.relations(actor.id, others)
        strangers = [relation for relation in relations if relation is not Relation.CONTACT]
        is_restricted = self._adding is not Adding.ANYONE and not await self._staff.is_staff(actor.id)
        if is_restricted and self._adding is Adding.SERVICE:
            raise AddingForbidden
        await self._count(actor.id, len(strangers))
        for member, relation in zip(others, relations, strict=True):
            is_hidden = relation in (Relation.UNKNOWN, Relation.BLOCKING)
            if is_hidden or (is_restricted and relation is Relation.STRANGER):
                name = member.login if member.user_id is None else member.user_id
                assert name is not None, "relations() has checked it"  # noqa: S101
                raise UnknownUser(name)

    async def _count(self, actor_id: int, count: int) -> None:
        """Count strangers, all or none of them.

        Raises: TooManyStrangers.
        """
        if not self._most or not count:
            return
        if count > self._most:
            self._on_limited()
            raise TooManyStrangers(WINDOW_S)
        entries = [uuid.uuid4().hex for _ in range(count)]
        admitted = await asyncio.gather(*(self._limits.admit(actor_id, entry) for entry in entries))
        waits = [one.retry_after_s for one in admitted if isinstance(one, RateLimited)]
        if waits:
            for entry in entries:
                self._limits.forget(actor_id, entry)
            self._on_limited()
            raise TooManyStrangers(max(waits))


def _names(member: NewMember, person: Person) -> bool:
    if member.login is None:
        return member.user_id == person.id
    return member.login.casefold() == person.username.casefold()
