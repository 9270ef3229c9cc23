"""Which members of a chat are connected: what an application needs to know to push to the others' phones.

It is read when an event is about to leave, within a second of its commit in most cases, and compared with the time of
the commit: a member who has connected since then was absent.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from msgspec import Struct

from gateway.delivery.open_chats import OpenChats
from gateway.errors import RedisUnavailable
from gateway.interfaces.client_registry import ClientRegistry
from gateway.interfaces.presence import Presence

NEVER: Final = datetime.max.replace(tzinfo=UTC)
MAX_MEMBERS: Final = 1_000
"""Members of a chat who are looked at, in the order of their ids."""
KEPT_S: Final = 1.0
MAX_KEPT: Final = 10_000
MAX_KEPT_IDS: Final = 200_000
"""Of members, over all chats; beyond it all are read anew."""
READ_S: Final = 1.0
PAUSE_S: Final = 5.0
"""Without Redis nothing is asked for so long, so that its outage does not slow deliveries."""


class Members(Protocol):
    """Implemented by `storage.outbox.member_ids`."""

    async def first(self, chat_ids: Sequence[int], limit: int) -> dict[int, list[int]]:
        """The `limit` members with the lowest ids of each chat.

        Raises: StorageUnavailable.
        """
        ...


class Attendance(Struct, frozen=True):
    """The first members of a chat, and since when those who are connected to it are (Unix seconds)."""

    members: tuple[int, ...]
    is_truncated: bool
    connected: dict[int, int]
    """With 0 for those with a multi-chat socket that is not in the chat."""
    complete_since: datetime = NEVER
    """All members are connected since then; NEVER if that is not known."""

    def absent(self, at: datetime, sender_id: int) -> list[int]:
        """The members without a socket at this time, except the sender."""
        if self.complete_since <= at:
            return []
        moment = int(at.timestamp())
        connected = self.connected.get
        later = moment + 1
        return [id_ for id_ in self.members if connected(id_, later) > moment and id_ != sender_id]


NOBODY: Final = Attendance((), is_truncated=False, connected={})
"""Of a chat without members."""


class AttendanceReader:
    """Reads the attendance of chats, each at most once in KEPT_S.

    Redis is not asked of a chat without members, or whose members are all connected to this node. Members are read
    again when they change.
    """

    def __init__(self, members: Members, presence: Presence, clients: ClientRegistry) -> None:
        self._members = members
        self._presence = presence
        self._clients = clients
        self._kept: dict[int, tuple[float, Attendance]] = {}
        self._kept_members: dict[int, tuple[int, Sequence[int]]] = {}
        """By chat: the version of its members, and their ids."""
        self._kept_ids = 0
        self._not_before = 0.0

    async def read(self, chats: Mapping[int, int], open_chats: OpenChats | None) -> dict[int, Attendance]:
        """The attendance of these chats, each with the version of its members; not of all if Redis does not respond.

        Raises: StorageUnavailable.
        """
        members = await self._members_of(chats)
        found: dict[int, Attendance] = {}
        elsewhere = []
        for chat_id, ids in members.items():
            connected = open_chats.connected(chat_id) if open_chats is not None and len(ids) <= MAX_MEMBERS else {}
            if not ids:
                found[chat_id] = NOBODY
            elif connected and connected.keys() >= set(ids):
                complete_since = datetime.fromtimestamp(max(connected.values()), UTC)
                found[chat_id] = Attendance(tuple(ids), False, connected, complete_since)
            else:
                elsewhere.append(chat_id)
        return {**found, **await self._read(elsewhere, members)} if elsewhere else found

    async def _members_of(self, chats: Mapping[int, int]) -> dict[int, Sequence[int]]:
        kept = self._kept_members
        missing = [chat for chat, version in chats.items() if chat not in kept or kept[chat][0] != version]
        if missing:
            members = await self._members.first(missing, MAX_MEMBERS + 1)
            if self._kept_ids + sum(map(len, members.values())) > MAX_KEPT_IDS:
                kept.clear()
                self._kept_ids = 0
                members = await self._members.first(list(chats), MAX_MEMBERS + 1)
            for chat_id, ids in members.items():
                self._kept_ids += len(ids) - len(kept[chat_id][1] if chat_id in kept else ())
                kept[chat_id] = chats[chat_id], ids
        return {chat_id: kept[chat_id][1] for chat_id in chats}

    async def _read(self, chat_ids: Sequence[int], members: Mapping[int, Sequence[int]]) -> dict[int, Attendance]:
        now = time.monotonic()
        self._kept = {chat: kept for chat, kept in self._kept.items() if now - kept[0] < KEPT_S}
        missing = [chat_id for chat_id in chat_ids if chat_id not in self._kept]
        if missing and now >= self._not_before:
            try:
                async with asyncio.timeout(READ_S):
                    found = await asyncio.gather(*(self._attendance(chat, members[chat]) for chat in missing))
            except (RedisUnavailable, TimeoutError):
                self._not_before = time.monotonic() + PAUSE_S
                return {}
            if len(self._kept) + len(found) > MAX_KEPT:
                self._kept.clear()
            self._kept.update({chat: (now, one) for chat, one in zip(missing, found, strict=True)})
        return {chat_id: self._kept[chat_id][1] for chat_id in chat_ids if chat_id in self._kept}

    async def _attendance(self, chat_id: int, members: Sequence[int]) -> Attendance:
        connected = {one.user_id: one.connected_at for one in await self._presence.members(chat_id)}
        listed = members[:MAX_MEMBERS]
        others = [user_id for user_id in listed if user_id not in connected]
        elsewhere = await self._clients.connected_among(others) if others else set()
        return Attendance(tuple(listed), len(members) > MAX_MEMBERS, {**dict.fromkeys(elsewhere, 0), **connected})
