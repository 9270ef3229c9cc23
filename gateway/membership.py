"""Seam: who belongs to which chat, and how far each has read. `storage.chats` meets it."""

from collections.abc import Sequence
from typing import Protocol

from storage.records import Admission, Chat, ChatKind, Member, NewMember, PublicChat


class Membership(Protocol):
    """Chats and their members. Every method raises StorageUnavailable when the database does not answer in time."""

    async def admit(self, chat_id: int, user_id: int) -> Admission | None:
        """The user's place in the chat, in one query; None if there is no such chat or user, or no membership."""
        ...

    async def public(self, chat_id: int) -> PublicChat | None:
        """The chat, if it is a public one."""
        ...

    async def chat_ids_of(self, user_ids: Sequence[int]) -> dict[int, set[int]]:
        """The chats of each of these users; those without any may be left out. At most 1,000 users a call."""
        ...

    async def still_members(self, pairs: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
        """Those of the (chat_id, user_id) pairs that are members now. At most 1,000 pairs a call."""
        ...

    async def mark_read(self, chat_id: int, user_id: int, seq: int) -> bool:
        """Move the read position forward to `seq` (never beyond the chat's last); False if it was there already."""
        ...

    async def create_chat(
        self, creator_id: int, kind: ChatKind, title: str, members: Sequence[NewMember]
    ) -> tuple[Chat, bool]:
        """A new chat with the creator in it, and True; for a second `direct` of the same two, the first and False.

        Raises: UnknownUser (its `who`), InvalidMembers (its `reason`).
        """
        ...

    async def chats_of(self, user_id: int) -> list[Chat]:
        """The user's chats with `unread` counted (messages by others, created after the read position)."""
        ...

    async def chat(self, chat_id: int, user_id: int) -> Chat | None:
        """One chat as this user may see it (a member; anyone, if it is public), every read position included."""
        ...

    async def add_member(self, chat_id: int, actor_id: int, new: NewMember) -> tuple[Member, bool]:
        """The member, and whether it is new.

        Raises: NoSuchChat (also when the actor may not see it), NotAllowed, UnknownUser, InvalidMembers.
        """
        ...

    async def remove_member(self, chat_id: int, actor_id: int, user_id: int) -> None:
        """End a membership: the chat's creator ends anyone's, anyone its own.

        Raises: NoSuchChat, NotAllowed, UnknownUser (not a member), InvalidMembers (a direct chat's never change).
        """
        ...
