"""Events of chats and members: noted by the transactions that change them, under the lock of the chat."""

from collections.abc import Mapping, Sequence
from typing import Final

import orjson
from tortoise.backends.base.client import BaseDBAsyncClient

from storage.database.database import Database
from storage.outbox.notes import OutboxNotes
from storage.outbox_records import NOTHING_WANTED, EventType, Wanted
from storage.records import ChatKind, Member

LISTED: Final = 100
"""Members in the event of a new chat; it has the number of all."""


class ChatNotes:
    """Every method is called in the transaction of `client`. `by` is the user who did it, None for a service."""

    def __init__(self, database: Database, wanted: Wanted = NOTHING_WANTED) -> None:
        self._notes = OutboxNotes(database, wanted)

    async def created(
        self,
        client: BaseDBAsyncClient,
        chat_id: int,
        kind: ChatKind,
        title: str,
        members: Sequence[Member],
        by: int | None,
        **more: object,
    ) -> None:
        """A chat was created with these members."""
        if self._notes.wants(EventType.CHAT_CREATED):
            listed = [{"user_id": member.person.id, "role": member.role} for member in members[:LISTED]]
            fields = {"kind": kind, "title": title, **more, "members": listed, "member_count": len(members)}
            await self._add(client, EventType.CHAT_CREATED, chat_id, 0, fields, by)

    async def changed(
        self, client: BaseDBAsyncClient, chat_id: int, seq: int, columns: Mapping[str, object], by: int | None
    ) -> None:
        """These columns of the chat have new values; `seq` is the chat's last one, as in the others."""
        await self._add(client, EventType.CHAT_CHANGED, chat_id, seq, {"changed": _values(columns)}, by)

    async def removed(self, client: BaseDBAsyncClient, chat_id: int, seq: int, by: int | None) -> None:
        """The chat was removed."""
        await self._add(client, EventType.CHAT_REMOVED, chat_id, seq, {}, by)

    async def member_added(
        self, client: BaseDBAsyncClient, chat_id: int, seq: int, member: Member, by: int | None
    ) -> None:
        """A member was added, or has joined."""
        fields = {"user_id": member.person.id, "role": member.role}
        await self._add(client, EventType.MEMBER_ADDED, chat_id, seq, fields, by)

    async def member_changed(
        self,
        client: BaseDBAsyncClient,
        chat_id: int,
        seq: int,
        user_id: int,
        columns: Mapping[str, object],
        by: int | None,
    ) -> None:
        """These columns of a member have new values."""
        fields = {"user_id": user_id, "changed": _values(columns)}
        await self._add(client, EventType.MEMBER_CHANGED, chat_id, seq, fields, by)

    async def member_removed(
        self, client: BaseDBAsyncClient, chat_id: int, seq: int, user_id: int, by: int | None
    ) -> None:
        """A member was removed, or has left."""
        await self._add(client, EventType.MEMBER_REMOVED, chat_id, seq, {"user_id": user_id}, by)

    async def _add(
        self,
        client: BaseDBAsyncClient,
        type_: EventType,
        chat_id: int,
        seq: int,
        fields: Mapping[str, object],
        by: int | None,
    ) -> None:
        if self._notes.wants(type_):
            data = orjson.dumps({"chat_id": chat_id, **fields, "by": by})
            await self._notes.add(client, type_, chat_id, seq, data)


def _values(columns: Mapping[str, object]) -> dict[str, object]:
    """The values as clients know them: `data` is a JSON object, kept as text."""
    names = {"is_frozen": "frozen"}
    return {names.get(name, name): _json(value) if name == "data" else value for name, value in columns.items()}


def _json(value: object) -> object:
    return orjson.Fragment(value) if isinstance(value, str) and value else None
