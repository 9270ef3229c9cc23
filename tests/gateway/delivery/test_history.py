"""Pages of the log of a chat: their size, and when the store is read."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from gateway.delivery.history import PAGE_BYTES, History, first_within, last_within
from gateway.delivery.hub import Hub
from gateway.delivery.replay_cache import PAGE, ReplayCache
from gateway.dialects.chat import message_object
from gateway.tasks import Tasks
from httpapi.bounded_json import to_json
from storage.errors import StorageUnavailable
from tests.gateway.delivery.slow_log import CHAT, SlowLog, message

CONTROL = "x" + "\x01" * 999
"""Six bytes of JSON each."""


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    tasks = Tasks()
    yield tasks
    await tasks.close()


def opened(hub: Hub, last_seq: int) -> None:
    """The chat has a local subscriber, and stands there."""
    local, _ = hub.open(CHAT)
    hub.start(local, last_seq, "e")


def test_page_of_longest_texts_ends_early_and_next_continues() -> None:
    events = [message(seq, CONTROL) for seq in range(1, 201)]
    seen = []
    while rest := events[len(seen) :]:
        page = first_within(rest)
        assert len(to_json([message_object(event) for event in page])) <= PAGE_BYTES + 2
        seen += page
    assert seen == events
    assert len(first_within(events)) > 75


def test_backward_page_keeps_last_events() -> None:
    events = [message(seq, CONTROL) for seq in range(1, 201)]
    page = list(last_within(events))
    assert 75 < len(page) < 200
    assert page == events[-len(page) :]


def test_page_of_longest_data_ends_early() -> None:
    data = '{"a":"%s"}' % ("x" * 4088)
    events = [replace(message(seq, "я" * 10), data=data) for seq in range(1, 201)]
    page = first_within(events)
    assert 100 < len(page) < 200
    assert len(to_json([message_object(event) for event in page])) <= PAGE_BYTES + 2


def test_long_event_is_a_page_by_itself() -> None:
    assert len(first_within([message(1, "x" * PAGE_BYTES), message(2)])) == 1


def test_page_within_limit_is_complete() -> None:
    events = [message(seq, "я" * 1000) for seq in range(1, 201)]
    assert first_within(events) == events


async def test_cached_history_is_read_without_the_store(tasks: Tasks) -> None:
    log, hub = SlowLog([]), Hub()
    pages = ReplayCache(log, tasks)
    opened(hub, PAGE + 20)
    for seq in range(PAGE - 9, PAGE + 21):
        pages.add(message(seq))
    log.is_down = True
    history = History(hub, log, pages)
    assert [event.seq for event in await history.after(CHAT, PAGE - 5, 200, PAGE + 20)] == [*range(PAGE - 4, PAGE + 21)]
    assert [event.seq for event in await history.after(CHAT, PAGE - 5, 8, PAGE + 20)] == [*range(PAGE - 4, PAGE + 4)]
    assert await history.after(CHAT, PAGE + 20, 200, PAGE + 20) == []
    assert log.reads == []
    with pytest.raises(StorageUnavailable):
        await history.after(CHAT, 3, 200, PAGE + 20)


async def test_history_of_chat_not_open_here_is_not_cached(tasks: Tasks) -> None:
    log, hub = SlowLog([message(seq) for seq in range(1, 301)]), Hub()
    pages = ReplayCache(log, tasks)
    history = History(hub, log, pages)
    for _ in range(2):
        assert [event.seq for event in await history.after(CHAT, 10, 200, 300)] == [*range(11, 211)]
    assert log.reads == [10, 10]
    assert pages.size == 0


async def test_concurrent_history_requests_share_one_read(tasks: Tasks) -> None:
    log, hub = SlowLog([message(seq) for seq in range(1, 101)]), Hub()
    opened(hub, 100)
    history = History(hub, log, ReplayCache(log, tasks))
    found = await asyncio.gather(*(history.after(CHAT, n, 200, 100) for n in range(50)))
    assert [len(events) for events in found] == [100 - n for n in range(50)]
    assert log.reads == [0]


async def test_page_of_another_epoch_is_read_from_the_store(tasks: Tasks) -> None:
    log, hub = SlowLog([message(seq, "restored") for seq in range(1, 6)]), Hub()
    pages = ReplayCache(log, tasks)
    opened(hub, 8)
    for seq in range(1, 9):
        pages.add(message(seq, "lost"))
    history = History(hub, log, pages)
    assert {event.text for event in await history.after(CHAT, 0, 200, 8, "e")} == {"lost"}
    assert {event.text for event in await history.after(CHAT, 0, 200, 5, "f")} == {"restored"}


async def test_page_reaches_what_this_node_has_not_received(tasks: Tasks) -> None:
    log, hub = SlowLog([message(seq) for seq in range(1, 9)]), Hub()
    opened(hub, 5)
    history = History(hub, log, ReplayCache(log, tasks))
    assert [event.seq for event in await history.after(CHAT, 3, 200, 8, "e")] == [4, 5, 6, 7, 8]
