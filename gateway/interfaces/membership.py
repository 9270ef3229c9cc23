"""Chats, their members and read positions. Implemented by `storage.repositories.chats`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from storage.chat_records import ChatDetails
from storage.records import (
    Admission,
    Chat,
    ChatKind,
    Member,
    NewMember,
    Page,
    PublicChat,
    ReadPosition,
    Role,
)


class Memberships(Protocol):
    """Chats and their members. Every method raises StorageUnavailable when the database does not answer in time."""

    async def admit(self, chat_id: int, user_id: int) -> Admission | None:
        """The user's membership and the chat's position, in one query; None without a membership, chat or user."""
        ...

    async def public(self, chat_id: int) -> PublicChat | None:
        """The chat, or None if it is not public."""
        ...

    async def position(self, chat_id: int) -> PublicChat | None:
        """The chat, or None if there is none: for services, which may read all chats."""
        ...

    async def chat_ids_of(self, user_ids: Sequence[int]) -> dict[int, set[int]]:
        """The chat ids of these users; users without chats may be omitted. At most 1,000 users per call."""
        ...

    async def still_members(self, pairs: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
        """The subset of these (chat_id, user_id) pairs that are members now. At most 1,000 pairs per call."""
        ...

    async def mark_read(self, chat_id: int, user_id: int, seq: int) -> int | None:
        """Move the read position forward to `seq`, at most the chat's last; the new position, None if unmoved."""
        ...

    async def read_positions(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], ReadPosition]:
        """The read positions of those (chat_id, user_id) pairs that are members. At most 1,000 pairs per call.

        The cost per pair is bounded, however many messages are unread.
        """
        ...

    async def create_chat(
        self,
        creator_id: int | None,
        kind: ChatKind,
        title: str,
        members: Sequence[NewMember],
        *,
        key: str | None = None,
        data: str = "",
    ) -> tuple[Chat, bool]:
        """Create a chat with its creator as a member, and return it with True; one of a service (None) has no owner.

        If a chat has the `key`, or the two users have a `direct` chat already, another is not created: returns the
        existing one unchanged with False. A direct chat without a key gets this one.
        Raises: UnknownUser (its `who`), InvalidMembers (its `reason`), QuotaExceeded (of the creator, or of a chat),
        KeyTaken (the creator may not see the chat with this key, or the direct chat has another one).
        """
        ...

    async def keyed_chat(self, key: str, user_id: int | None) -> Chat | None:
        """The chat with this key, as `chat`, or None.

        Raises: KeyTaken if there is one that the user may not see.
        """
        ...

    async def id_of_key(self, key: str) -> int | None:
        """The chat with this key; it says nothing about who may see it."""
        ...

    async def chat_page(self, user_id: int, before: int | None, limit: int) -> Page[Chat]:
        """The user's chats before this chat id (None: the newest), each with ten of its members, the user among them.

        `unread` counts messages by others after the read position, up to MAX_UNREAD. A page costs the same wherever it
        is, and chats that come and go meanwhile repeat or hide no others.
        """
        ...

    async def member_page(self, chat_id: int, after: int | None, limit: int) -> Page[Member]:
        """The chat's members after this user id (None: the first), with the same guarantees; empty if no such chat."""
        ...

    async def chat(self, chat_id: int, user_id: int | None) -> Chat | None:
        """The chat with the read positions of up to 1,000 members, the user among them; None if they may not see it.

        Anyone may see a public chat, and a service (None) every chat.
        """
        ...

    async def direct_chat(self, user_id: int, other: NewMember) -> Chat | None:
        """The direct chat of these two users, if there is one.

        Raises: InvalidMembers if the entry names no user.
        """
        ...

    async def check_owner(self, chat_id: int, user_id: int) -> None:
        """Check that the user owns the chat, before names in its request are looked up.

        Raises: NoSuchChat (also when the user may not see it), NotAllowed, InvalidMembers (a direct chat).
        """
        ...

    async def add_member(
        self, chat_id: int, actor_id: int | None, new: NewMember, *, gives_staff_roles: bool = True
    ) -> tuple[Member, bool]:
        """Add a member; return it and whether it is new. A former member keeps the read position of that time.

        The owner and services (None) may add anyone, which lifts a bar; anyone may join a public chat unless barred.
        Raises: NoSuchChat (also when the actor may not see it), NotAllowed, StaffOnly (a role of staff without
        `gives_staff_roles`), Barred, UnknownUser, InvalidMembers, QuotaExceeded.
        """
        ...

    async def lift_bar(self, chat_id: int, actor_id: int | None, user_id: int) -> None:
        """Let a user who was removed from a public chat join it again.

        The owner, services (None) and the user who removed them may.
        Raises: NoSuchChat, NotAllowed, UnknownUser (not barred), InvalidMembers (direct chats never change).
        """
        ...

    async def remove_member(self, chat_id: int, actor_id: int | None, user_id: int) -> int | None:
        """Remove a member. The owner and services (None) may remove anyone; members may remove themselves.

        A member whom someone else removes from a public chat may not join it again until the bar is lifted.
        Returns the new owner, the oldest remaining member, if the owner has left and others remain.
        Raises: NoSuchChat, NotAllowed, UnknownUser (not a member), InvalidMembers (direct chats never change).
        """
        ...

    async def hand_over(self, chat_id: int, actor_id: int | None, user_id: int) -> bool:
        """Make another member the owner; False if they are already. Only the owner and services (None) may.

        Raises: NoSuchChat, NotAllowed, UnknownUser (not a member), InvalidMembers (a direct chat).
        """
        ...


class ChatSetup(Protocol):
    """What a chat is beside its members and its log. Every method raises StorageUnavailable."""

    async def details(self, chat_ids: Sequence[int]) -> dict[int, ChatDetails]:
        """Those of these chats that exist. At most 1,000 ids per call."""
        ...

    async def change(self, chat_id: int, actor_id: int | None, columns: Mapping[str, str | int | None]) -> bool:
        """Set title, data or retention_days; False if they had these values. Only the owner and services (None) may.

        Raises: NoSuchChat (also when the actor may not see it), NotAllowed.
        """
        ...


class MemberRoles(Protocol):
    """What members may do. Implemented by `storage.repositories.chat_setup.roles`. Raises StorageUnavailable."""

    async def change(
        self, chat_id: int, actor_id: int | None, user_id: int, role: Role | None, muted_until: int | None
    ) -> tuple[Member, bool]:
        """Set a role, or until when the member is muted (Unix seconds; 0: not); the member, and whether it changed.

        The owner and services (None) may; moderators mute those who are neither moderators nor the owner.
        Raises: NoSuchChat (also when the actor may not see it), NotAllowed, UnknownUser (not a member), InvalidMembers
        (the owner, or a kind of chat whose roles stay).
        """
        ...


class RemovalLog(Protocol):
    """Removed chats. Every method raises StorageUnavailable."""

    async def remove(self, chat_id: int, actor_id: int | None) -> None:
        """Remove the chat for everybody: from then on nobody sees it, and nothing is stored in it.

        Only the owner and services (None) may. Raises: NoSuchChat (also when the actor may not see it), NotAllowed,
        InvalidMembers (rooms and the public channel are never removed).
        """
        ...

    async def since(self, moment: int) -> Sequence[int]:
        """The chats that were removed at this time (Unix seconds) or later; forgotten after some minutes."""
        ...


@dataclass(frozen=True, slots=True)
class ChatAccess:
    """A chat that the user may see: members see their chats, everyone sees public ones. `last_seq` is its last seq.

    `members_version` is that of its members when the user was found among them.
    """

    chat_id: int
    last_seq: int
    epoch: str
    is_member: bool
    is_reader: bool = False
    members_version: int = 0


async def access_to(membership: Memberships, chat_id: int, user_id: int | None) -> ChatAccess | None:
    """Return the access of this user (None: anonymous) to the chat, or None; a member, the usual case, costs one query.

    Raises: StorageUnavailable.
    """
    if user_id is not None and (admission := await membership.admit(chat_id, user_id)) is not None:
        position, is_reader = admission.position, admission.member.role is Role.READER
        version = position.members_version
        return ChatAccess(
            chat_id, position.last_seq, admission.epoch, is_member=True, is_reader=is_reader, members_version=version
        )
    if (public := await membership.public(chat_id)) is not None:
        return ChatAccess(chat_id, public.last_seq, public.epoch, is_member=False)
    return None
