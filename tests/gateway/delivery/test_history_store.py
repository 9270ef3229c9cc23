"""Pages of history as they are read from the store."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.delivery.history import PAGE_BYTES, History, first_within, last_within
from gateway.delivery.hub import Hub
from gateway.delivery.replay_cache import ReplayCache
from gateway.dialects.chat import message_object
from gateway.tasks import Tasks
from httpapi.bounded_json import to_json
from storage.reaction_records import Reaction
from storage.records import ChatEvent, EventKind, RepliedTo
from tests.gateway.delivery.events import event
from tests.gateway.delivery.memory_log import MemoryLog


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    tasks = Tasks()
    yield tasks
    await tasks.close()


def history_of(hub: Hub, log: Any, tasks: Tasks) -> History:
    return History(hub, log, ReplayCache(log, tasks))


def weight(events: list[ChatEvent]) -> int:
    return sum(len(to_json(message_object(event))) + 1 for event in events)


async def test_page_of_a_closed_chat_is_read_with_its_limit(tasks: Tasks) -> None:
    log = MemoryLog(*(event(seq) for seq in range(1, 31)))
    found = await history_of(Hub(), log, tasks).after(1, 10, 5, 30)
    assert [event.seq for event in found] == [11, 12, 13, 14, 15]
    assert log.reads == [(1, 10, 5)]


async def test_page_of_no_events_reads_nothing(tasks: Tasks) -> None:
    log = MemoryLog(event(1))
    assert await history_of(Hub(), log, tasks).after(1, 0, 0, 1) == []
    assert log.reads == []


async def test_page_ends_where_the_store_ends(tasks: Tasks) -> None:
    log, hub = MemoryLog(event(1), event(2)), Hub()
    local, _ = hub.open(1)
    hub.start(local, 9, "e1")
    found = await history_of(hub, log, tasks).after(1, 0, 50, 9)
    assert [event.seq for event in found] == [1, 2]


async def test_page_after_a_chat_closes_goes_on_from_the_store(tasks: Tasks) -> None:
    log, hub = MemoryLog(*(event(seq) for seq in range(1, 221))), Hub()
    local, _ = hub.open(1)
    hub.start(local, 220, "e1")
    history = history_of(hub, log, tasks)
    answer = log._answer

    async def answer_and_close() -> None:
        await answer()
        if hub.chat(1) is not None:
            hub.give_up(local)

    log._answer = answer_and_close  # type: ignore[method-assign]
    found = await history.after(1, 190, 20, 220)
    assert [event.seq for event in found] == list(range(191, 211))
    assert log.reads[-1] == (1, 200, 10)


@pytest.mark.parametrize(("seq", "expected"), [(None, [28, 29, 30]), (11, [8, 9, 10])])
async def test_page_before_a_seq_is_read_with_its_limit(tasks: Tasks, seq: int | None, expected: list[int]) -> None:
    log = MemoryLog(*(event(number) for number in range(1, 31)))
    found = await history_of(Hub(), log, tasks).before(1, seq, 3)
    assert [event.seq for event in found] == expected
    assert log.reads == [(1, seq, 3)]


async def test_page_of_replies_has_those_to_one_message(tasks: Tasks) -> None:
    targets = [RepliedTo(101, None, "one"), RepliedTo(102, None, "two")]
    log = MemoryLog(*(replace(event(seq), reply_to=targets[seq % 2]) for seq in range(3, 21)))
    found = await history_of(Hub(), log, tasks).replies(1, 102, 16, 3)
    assert [event.seq for event in found] == [11, 13, 15]
    assert log.reads == [(1, 16, 3)]


async def test_own_reactions_are_read_of_messages_that_have_some(tasks: Tasks) -> None:
    log = MemoryLog()
    history = history_of(Hub(), log, tasks)
    page = [event(1), replace(event(2), reactions='{"👍":1}')]
    assert await history.own_reactions(None, page) == await history.own_reactions(7, page[:1]) == {}
    assert log.reactions_read == []
    assert await history.own_reactions(7, page) == {102: ["👍"]}
    assert log.reactions_read == [(7, [102])]


def test_page_of_reactions_is_bounded() -> None:
    """Their counts at the event, of messages that have none now."""
    counts = to_json({chr(0x1F600 + key) * 32: 1 for key in range(20)}).decode()
    reaction = Reaction(1, "👍", removed=False, counts=counts)
    events = [replace(event(seq), kind=EventKind.REACTION, reaction=reaction) for seq in range(1, 301)]
    assert len(first_within(events)) < 300
    assert weight(list(first_within(events))) <= PAGE_BYTES


def test_page_may_be_exactly_as_long_as_its_bound() -> None:
    events = [event(seq) for seq in range(1, 10)]
    bound = weight(events[:4])
    assert first_within(events, bound) == events[:4]
    assert first_within(events, bound - 1) == events[:3]
    assert last_within(events, weight(events[-4:])) == events[-4:]


def test_page_of_many_short_events_is_bounded() -> None:
    events = [event(seq) for seq in range(1, 4001)]
    page = first_within(events)
    assert weight(list(page)) <= PAGE_BYTES < weight(events[: len(page) + 1])
