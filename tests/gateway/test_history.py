"""Pages of a chat's log: what they may weigh, and when the store is asked for them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.history import PAGE_BYTES, History, first_within, last_within
from gateway.hub import Hub
from gateway.messages import message_object
from gateway.pages import PAGE, Pages
from gateway.tasks import Tasks
from gateway.wire import to_json
from storage.errors import StorageUnavailable
from tests.gateway.test_pages import CHAT, SlowLog, message

CONTROL = "\x01" * 1000
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


def test_a_page_of_the_longest_texts_ends_early_and_the_next_goes_on_from_there() -> None:
    events = [message(seq, CONTROL) for seq in range(1, 201)]
    seen = []
    while rest := events[len(seen) :]:
        page = first_within(rest)
        assert len(to_json([message_object(event) for event in page])) <= PAGE_BYTES + 2
        seen += page
    assert seen == events
    assert len(first_within(events)) > 75


def test_backwards_the_last_ones_stay() -> None:
    events = [message(seq, CONTROL) for seq in range(1, 201)]
    page = list(last_within(events))
    assert 75 < len(page) < 200
    assert page == events[-len(page) :]


def test_one_event_is_a_page_however_long_it_is() -> None:
    assert len(first_within([message(1, "x" * PAGE_BYTES), message(2)])) == 1


def test_a_page_that_fits_is_whole() -> None:
    events = [message(seq, "я" * 1000) for seq in range(1, 201)]
    assert first_within(events) == events


async def test_what_this_node_remembers_comes_without_the_store(tasks: Tasks) -> None:
    log, hub = SlowLog([]), Hub()
    pages = Pages(log, tasks)
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


async def test_nothing_is_kept_of_a_chat_that_is_not_open_here(tasks: Tasks) -> None:
    log, hub = SlowLog([message(seq) for seq in range(1, 301)]), Hub()
    pages = Pages(log, tasks)
    history = History(hub, log, pages)
    for _ in range(2):
        assert [event.seq for event in await history.after(CHAT, 10, 200, 300)] == [*range(11, 211)]
    assert log.reads == [10, 10]
    assert pages.size == 0


async def test_many_who_ask_at_once_share_one_read(tasks: Tasks) -> None:
    log, hub = SlowLog([message(seq) for seq in range(1, 101)]), Hub()
    opened(hub, 100)
    history = History(hub, log, Pages(log, tasks))
    found = await asyncio.gather(*(history.after(CHAT, n, 200, 100) for n in range(50)))
    assert [len(events) for events in found] == [100 - n for n in range(50)]
    assert log.reads == [0]
