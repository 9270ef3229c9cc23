"""A chat log whose reads wait for the test."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from storage.chat_records import Changes, Look
from storage.errors import StorageUnavailable
from storage.records import ChatEvent, EventKind, NewEvent, OnOutcome, Person, Positions

CHAT = 7
ANN = Person(1, "ann")


def message(seq: int, text: str = "hello") -> ChatEvent:
    """The message that was the chat's event `seq`."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return ChatEvent(CHAT, seq, EventKind.MESSAGE, 1000 + seq, ANN, text, at, False, False, f"c{seq}")


def deletion(seq: int, of: ChatEvent) -> ChatEvent:
    """A deletion of a message, as the chat's event `seq`."""
    return replace(of, seq=seq, kind=EventKind.DELETE, text="", is_deleted=True)


class SlowLog:
    """A chat's events in memory; each read is answered when the test lets it, with what was there when it began."""

    def __init__(self, events: Sequence[ChatEvent]) -> None:
        self.events = list(events)
        self.reads: list[int] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_down = False

    async def events_after(self, chat_id: int, seq: int, limit: int) -> list[ChatEvent]:
        """Those beyond `seq`."""
        self.reads.append(seq)
        found = [event for event in self.events if event.seq > seq][:limit]
        await self.may_answer.wait()
        if self.is_down:
            raise StorageUnavailable("down")
        return found

    def submit(self, event: NewEvent, done: OnOutcome) -> None:
        """Not asked for here."""
        raise NotImplementedError

    async def find(self, chat_id: int, sender_id: int, client_msg_id: str) -> ChatEvent | None:
        """Not asked for here."""
        raise NotImplementedError

    async def messages_before(self, chat_id: int, seq: int | None, limit: int) -> list[ChatEvent]:
        """Not asked for here."""
        raise NotImplementedError

    async def positions(self, chat_ids: Sequence[int]) -> Positions:
        """Not asked for here."""
        raise NotImplementedError

    async def changes(self, last: Look | None, most: int) -> Changes:
        """Not asked for here."""
        raise NotImplementedError

    async def epoch(self) -> str:
        """Not asked for here."""
        raise NotImplementedError
