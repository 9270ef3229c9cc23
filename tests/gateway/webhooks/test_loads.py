"""Loads of many chats: what is read is encoded in several turns of the event loop."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

from gateway.interfaces.outbox import OutboxQueue
from gateway.webhooks.loads import HEADS_A_TURN, Loader
from storage.outbox_records import EventType, Head, LoggedEvent
from storage.records import ChatEvent, ChatPosition, EventKind, Person, Positions

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CHATS = 100


class OneMessageEach:
    """A log in which each chat has one message."""

    async def read(self, ranges: Sequence[tuple[int, int, int]], limit: int) -> dict[int, list[LoggedEvent]]:
        return {chat: [LoggedEvent(_message(chat), NOW)] for chat, _, _ in ranges}

    async def positions(self, chat_ids: Sequence[int]) -> Positions:
        return Positions("1a2b3c4d", {chat: ChatPosition(1, 1) for chat in chat_ids})


def _message(chat_id: int) -> ChatEvent:
    return ChatEvent(chat_id, 1, EventKind.MESSAGE, chat_id, Person(1, "ann"), "hello", NOW, False, False, "")


async def test_others_run_while_loads_of_many_chats_are_encoded() -> None:
    without_outbox = cast("OutboxQueue", None)
    loader = Loader("one", frozenset([EventType.MESSAGE_CREATED]), without_outbox, OneMessageEach())
    heads = [Head(chat, chat, 1, 1, False, 0, 1, 0, None, 0) for chat in range(1, CHATS + 1)]
    reading = asyncio.create_task(loader.read(heads))
    turns = 0
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= CHATS / HEADS_A_TURN
    assert [load.events[0].key for load in reading.result()] == [str(chat) for chat in range(1, CHATS + 1)]
