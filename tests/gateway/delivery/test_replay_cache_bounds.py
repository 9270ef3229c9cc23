"""What the replay cache counts, drops and rewrites."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.delivery.replay_cache import EVENT_BYTES, FRAME_BYTES, PAGE, ReplayCache
from gateway.dialects.chat import ChatDialect
from gateway.dialects.room import RoomDialect
from gateway.protocol.frames import text_frame
from gateway.protocol.pushes import Push
from gateway.tasks import Tasks
from storage.errors import StorageUnavailable
from storage.records import ChatEvent, EventKind, RepliedTo
from tests.gateway.delivery.events import event
from tests.gateway.delivery.memory_log import MemoryLog

DIALECT = ChatDialect()


class Silent(ChatDialect):
    """A dialect that pushes no messages."""

    name = "silent"

    def push(self, push: Push) -> bytes | None:
        return None


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    tasks = Tasks()
    yield tasks
    await tasks.close()


def cache_of(tasks: Tasks, log: MemoryLog | None = None, **options: Any) -> ReplayCache:
    store: Any = MemoryLog() if log is None else log
    return ReplayCache(store, tasks, **options)


def events_size(*events: ChatEvent) -> int:
    return sum(EVENT_BYTES + len(one.text) for one in events)


def frames_size(*events: ChatEvent) -> int:
    return sum(FRAME_BYTES + len(text_frame(DIALECT.push(one) or b"")) for one in events)


def changed(of: ChatEvent, seq: int, kind: EventKind, text: str) -> ChatEvent:
    is_deleted = kind is EventKind.DELETE
    return replace(of, seq=seq, kind=kind, text=text, is_edited=not is_deleted, is_deleted=is_deleted)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_size_counts_events_and_frames(tasks: Tasks) -> None:
    pages, events = cache_of(tasks), [event(seq) for seq in range(11, 16)]
    for one in events:
        pages.add(one)
    assert pages.size == events_size(*events)
    for _ in range(2):
        await pages.after(1, 12, DIALECT)
        assert pages.size == events_size(*events) + frames_size(*events)


async def test_size_counts_data(tasks: Tasks) -> None:
    pages = cache_of(tasks)
    pages.add(replace(event(1), data="{}"))
    assert pages.size == events_size(event(1)) + 2


async def test_size_counts_what_a_message_replies_to(tasks: Tasks) -> None:
    pages = cache_of(tasks)
    pages.add(replace(event(1), reply_to=RepliedTo(9, None, "twelve bytes")))
    assert pages.size == events_size(event(1)) + EVENT_BYTES + 12


async def test_size_shrinks_with_a_deleted_text(tasks: Tasks) -> None:
    pages, first = cache_of(tasks), replace(event(1), text="x" * 500)
    pages.add(first)
    await pages.after(1, 0, DIALECT)
    deletion = changed(first, 2, EventKind.DELETE, "")
    pages.add(deletion)
    await pages.events_after(1, 1)
    assert pages.size == 2 * EVENT_BYTES


async def test_page_from_the_store_replaces_a_shorter_one(tasks: Tasks) -> None:
    events = [event(seq) for seq in range(1, 6)]
    log = MemoryLog(*events)
    pages = cache_of(tasks, log)
    pages.add(events[-1])
    assert await pages.events_after(1, 0) == events
    assert pages.size == events_size(*events)
    assert log.reads == [(1, 0, PAGE)]


async def test_pages_may_take_exactly_their_bound(tasks: Tasks) -> None:
    one, other = event(1), replace(event(1), chat_id=2)
    pages = cache_of(tasks, max_bytes=events_size(one, other))
    pages.add(one)
    pages.add(other)
    assert pages.size == events_size(one, other)


async def test_least_recently_used_page_is_dropped_first(tasks: Tasks) -> None:
    sources: list[str] = []
    events = [replace(event(seq), chat_id=chat_id) for chat_id, seq in ((1, 1), (2, 1), (1, 2), (3, 1))]
    pages = cache_of(tasks, MemoryLog(*events), max_bytes=events_size(*events[1:]), on_page=sources.append)
    for one in events:
        pages.add(one)
    await pages.events_after(1, 0)
    await pages.events_after(2, 0)
    assert sources == ["memory", "store"]


async def test_change_of_a_dropped_page_is_ignored(tasks: Tasks) -> None:
    events = [event(1), event(PAGE + 1)]
    pages = cache_of(tasks, max_bytes=events_size(events[1]) + 1)
    for one in events:
        pages.add(one)
    pages.add(changed(events[1], PAGE + 2, EventKind.DELETE, ""))
    assert pages.size <= events_size(events[1]) + 1


async def test_forgotten_chat_leaves_nothing(tasks: Tasks) -> None:
    pages = cache_of(tasks)
    for seq in (1, PAGE + 1):
        pages.add(event(seq))
    pages.forget(1)
    assert (pages.size, pages._pages, pages._keys) == (0, {}, {})


async def test_read_of_a_forgotten_chat_stays_stale(tasks: Tasks) -> None:
    log = MemoryLog(event(1))
    log.may_answer.clear()
    pages = cache_of(tasks, log)
    reading = asyncio.create_task(pages.events_after(1, 0))
    await until(lambda: log.reads)
    pages.forget(1)
    pages.forget(2)
    log.may_answer.set()
    assert await reading == [event(1)]
    assert pages.size == 0


async def test_change_in_another_chat_leaves_a_read_alone(tasks: Tasks) -> None:
    log = MemoryLog(event(1))
    log.may_answer.clear()
    pages = cache_of(tasks, log)
    reading = asyncio.create_task(pages.events_after(1, 0))
    await until(lambda: log.reads)
    pages.add(replace(changed(event(1), 1, EventKind.DELETE, ""), chat_id=2))
    log.may_answer.set()
    assert await reading == [event(1)]


@pytest.mark.parametrize("is_read", [False, True])
async def test_edited_message_is_replayed_as_edited(tasks: Tasks, is_read: bool) -> None:
    """Both in a page that is kept and in one that is being read."""
    log = MemoryLog(event(1))
    pages = cache_of(tasks, log)
    edit = changed(event(1), 2, EventKind.EDIT, "new")
    if is_read:
        log.may_answer.clear()
        reading = asyncio.create_task(pages.events_after(1, 0))
        await until(lambda: log.reads)
        pages.add(edit)
        log.may_answer.set()
        found = await reading
    else:
        pages.add(event(1))
        pages.add(edit)
        found = await pages.events_after(1, 0)
    assert [(one.text, one.is_edited, one.kind) for one in found] == [
        ("new", True, EventKind.MESSAGE),
        ("new", True, EventKind.EDIT),
    ]


async def test_each_dialect_has_frames_of_its_own(tasks: Tasks) -> None:
    pages = cache_of(tasks)
    pages.add(event(1))
    for dialect in (DIALECT, RoomDialect("room"), DIALECT):
        replay = await pages.after(1, 0, dialect)
        assert list(replay.frames) == [text_frame(dialect.push(event(1)) or b"")]


async def test_event_that_a_dialect_lacks_has_an_empty_frame(tasks: Tasks) -> None:
    pages = cache_of(tasks)
    pages.add(event(1))
    assert list((await pages.after(1, 0, Silent())).frames) == [b""]


async def test_failed_read_gives_its_reason(tasks: Tasks) -> None:
    log = MemoryLog()
    log.is_away = True
    with pytest.raises(StorageUnavailable, match="away"):
        await cache_of(tasks, log).events_after(1, 0)


@pytest.mark.parametrize("has_begun", [False, True])
async def test_cancelled_read_fails(tasks: Tasks, has_begun: bool) -> None:
    log = MemoryLog(event(1))
    log.may_answer.clear()
    waiting = asyncio.create_task(cache_of(tasks, log).events_after(1, 0))
    await until(lambda: log.reads if has_begun else len(tasks))
    await tasks.close()
    with pytest.raises(StorageUnavailable, match=r"^the read was cut off$"):
        await waiting
