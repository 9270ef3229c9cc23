"""How users stand to each other: blocks and contacts. Implements `gateway.interfaces.rights.Contacts`.

A contact is someone who owns a chat of both, or has written in it: a user whom the other has only put into a chat is no
contact. Public chats do not count.
"""

from collections.abc import Sequence
from typing import Final

from tortoise.exceptions import IntegrityError

from storage.database.database import Database
from storage.errors import TooManyBlocks
from storage.models import Block
from storage.records import ChatKind, NewMember, Relation, is_id
from storage.repositories.chat_setup.blocks import note_block
from storage.repositories.members import find_people

MAX_BLOCKS: Final = 1000
"""Users whom one user may block."""


class ContactRepository:
    """Every method raises StorageUnavailable if the database does not respond in time; else as in the interface."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._relations = f"""
            SELECT u.id,
                EXISTS (SELECT 1 FROM blocks b WHERE b.user_id = u.id AND b.blocked_id = $1) AS is_blocking,
                EXISTS (
                    SELECT 1 FROM memberships m
                    JOIN memberships mine ON mine.chat_id = m.chat_id AND mine.user_id = $1
                    JOIN chats c ON c.id = m.chat_id
                    WHERE m.user_id = u.id AND c.kind <> '{ChatKind.PUBLIC}' AND (
                        c.creator_id = u.id
                        OR EXISTS (SELECT 1 FROM chat_log e WHERE e.chat_id = c.id AND e.sender_id = u.id)
                    )
                ) AS is_contact
            FROM users u WHERE u.id {database.among("$2")}"""

    async def relations(self, user_id: int, members: Sequence[NewMember]) -> list[Relation]:
        """How each of these users stands to `user_id`, in two queries."""
        async with self._database.session():
            people = await find_people(members)
        ids = {person.id for person in people if person is not None} - {user_id}
        known = {user_id: Relation.CONTACT}
        for row in await self._database.fetch(self._relations, user_id, self._database.ids(ids)):
            relation = Relation.CONTACT if row["is_contact"] else Relation.STRANGER
            known[row["id"]] = Relation.BLOCKING if row["is_blocking"] else relation
        return [Relation.UNKNOWN if person is None else known.get(person.id, Relation.UNKNOWN) for person in people]

    async def block(self, user_id: int, blocked_id: int) -> None:
        """Block a user; the id is not looked up, so that the call does not tell who exists.

        Raises: TooManyBlocks.
        """
        if not is_id(blocked_id):
            return
        try:
            async with self._database.transaction():
                if await Block.exists(user_id=user_id, blocked_id=blocked_id):
                    return
                if await Block.filter(user_id=user_id).count() >= MAX_BLOCKS:
                    raise TooManyBlocks
                await Block.create(user_id=user_id, blocked_id=blocked_id)
                await note_block(user_id, blocked_id, is_blocked=True)
        except IntegrityError:
            pass  # another call has just blocked them

    async def unblock(self, user_id: int, blocked_id: int) -> None:
        """Remove a block, if there is one."""
        if is_id(blocked_id):
            async with self._database.transaction():
                await Block.filter(user_id=user_id, blocked_id=blocked_id).delete()
                await note_block(user_id, blocked_id, is_blocked=False)

    async def blocked_by(self, user_id: int) -> list[int]:
        """The ids of the users whom this user has blocked, in ascending order."""
        rows = await self._database.fetch(
            "SELECT blocked_id FROM blocks WHERE user_id = $1 ORDER BY blocked_id", user_id
        )
        return [row["blocked_id"] for row in rows]
