"""A chat log in memory that records what it was asked for."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence

from storage.errors import StorageUnavailable
from storage.reaction_records import OwnReactions
from storage.records import ChatEvent, ChatPosition, Positions


class MemoryLog:
    """The events of some chats; reads wait for `may_answer` and fail while it `is_away`."""

    def __init__(self, *events: ChatEvent, epoch: str = "e1") -> None:
        self.chats: dict[int, list[ChatEvent]] = defaultdict(list)
        for event in events:
            self.chats[event.chat_id].append(event)
        self.current_epoch = epoch
        self.versions: dict[int, int] = defaultdict(lambda: 1)
        self.is_away = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.reads: list[tuple[int, int | None, int]] = []
        self.reactions_read: list[tuple[int, list[int]]] = []
        self.compared: list[Sequence[int]] = []
        self.on_positions: Callable[[], object] = lambda: None

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        await self.may_answer.wait()
        if self.is_away:
            raise StorageUnavailable("away")

    async def events_after(self, chat_id: int, seq: int, limit: int) -> list[ChatEvent]:
        self.reads.append((chat_id, seq, limit))
        await self._answer()
        return [event for event in self.chats.get(chat_id, ()) if event.seq > seq][:limit]

    async def messages_before(self, chat_id: int, seq: int | None, limit: int) -> list[ChatEvent]:
        self.reads.append((chat_id, seq, limit))
        await self._answer()
        return [event for event in self.chats.get(chat_id, ()) if seq is None or event.seq < seq][-limit:]

    async def replies_before(self, chat_id: int, target_id: int, seq: int | None, limit: int) -> list[ChatEvent]:
        self.reads.append((chat_id, seq, limit))
        await self._answer()
        replies = [event for event in self.chats[chat_id] if event.reply_to and event.reply_to.id == target_id]
        return [event for event in replies if seq is None or event.seq < seq][-limit:]

    async def own_reactions(self, user_id: int, message_ids: Sequence[int]) -> OwnReactions:
        self.reactions_read.append((user_id, list(message_ids)))
        await self._answer()
        return {message_id: ["👍"] for message_id in message_ids}

    async def positions(self, chat_ids: Sequence[int]) -> Positions:
        self.compared.append(list(chat_ids))
        await self._answer()
        self.on_positions()
        known = [chat_id for chat_id in chat_ids if chat_id in self.chats]
        positions = {
            chat_id: ChatPosition(self.chats[chat_id][-1].seq if self.chats[chat_id] else 0, self.versions[chat_id])
            for chat_id in known
        }
        return Positions(self.current_epoch, positions)
