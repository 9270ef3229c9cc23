"""The cache of recent events, and the store reads of a resume storm."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import orjson
import pytest
from msgspec.structs import replace

from gateway.delivery.replay_cache import PAGE, Replay, ReplayCache
from gateway.dialects.chat import ChatDialect
from gateway.protocol.frames import text_frame
from gateway.tasks import Tasks
from storage.errors import StorageUnavailable
from storage.reaction_records import Reaction
from storage.records import ChatEvent, EventKind, RepliedTo
from tests.gateway.delivery.slow_log import CHAT, SlowLog, deletion, message

DIALECT = ChatDialect()


def edit(seq: int, of: ChatEvent, text: str) -> ChatEvent:
    """An edit of a message, as the chat's event `seq`."""
    return replace(of, seq=seq, kind=EventKind.EDIT, text=text, is_edited=True)


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    tasks = Tasks()
    yield tasks
    await tasks.close()


def seqs(replay: Replay) -> list[int]:
    """What was replayed, checked to be the frames of it."""
    assert [text_frame(DIALECT.push(event) or b"") for event in replay.events] == list(replay.frames)
    return [event.seq for event in replay.events]


async def test_delivered_events_are_replayed_without_the_store(tasks: Tasks) -> None:
    log = SlowLog([])
    pages = ReplayCache(log, tasks)
    for seq in range(41, 51):
        pages.add(message(seq))
    assert seqs(await pages.after(CHAT, 44, DIALECT)) == [45, 46, 47, 48, 49, 50]
    assert log.reads == []


async def test_older_events_are_read_once_and_cached(tasks: Tasks) -> None:
    log = SlowLog([message(seq) for seq in range(1, 51)])
    sources: list[str] = []
    pages = ReplayCache(log, tasks, on_page=sources.append)
    pages.add(message(50))
    assert seqs(await pages.after(CHAT, 10, DIALECT)) == list(range(11, 51))
    assert seqs(await pages.after(CHAT, 3, DIALECT)) == list(range(4, 51))
    pages.add(message(51))
    assert seqs(await pages.after(CHAT, 48, DIALECT)) == [49, 50, 51]
    assert log.reads == [0]
    assert sources == ["store", "memory", "memory"]


async def test_page_ends_at_its_boundary_and_next_begins_there(tasks: Tasks) -> None:
    log = SlowLog([message(seq) for seq in range(1, PAGE + 11)])
    pages = ReplayCache(log, tasks)
    assert seqs(await pages.after(CHAT, PAGE - 2, DIALECT)) == [PAGE - 1, PAGE]
    assert seqs(await pages.after(CHAT, PAGE, DIALECT)) == list(range(PAGE + 1, PAGE + 11))
    assert log.reads == [0, PAGE]


async def test_concurrent_resumes_share_one_read(tasks: Tasks) -> None:
    log = SlowLog([message(seq) for seq in range(1, 101)])
    pages = ReplayCache(log, tasks)
    replays = await asyncio.gather(*(pages.after(CHAT, n % 100, DIALECT) for n in range(1000)))
    assert [seqs(replay)[0] for replay in replays] == [n % 100 + 1 for n in range(1000)]
    assert log.reads == [0]


async def test_running_read_older_than_the_event_is_not_shared(tasks: Tasks) -> None:
    log = SlowLog([message(1)])
    log.may_answer.clear()
    pages = ReplayCache(log, tasks)
    first = asyncio.create_task(pages.after(CHAT, 0, DIALECT))
    await until(lambda: log.reads == [0])
    log.events.append(message(2))
    second = asyncio.create_task(pages.after(CHAT, 1, DIALECT))
    await asyncio.sleep(0)
    log.may_answer.set()
    assert seqs(await first) == [1]
    assert seqs(await second) == [2]
    assert log.reads == [0, 0]


async def test_deleted_text_is_not_replayed(tasks: Tasks) -> None:
    secret = message(1, "secret")
    pages = ReplayCache(SlowLog([]), tasks)
    pages.add(secret)
    pages.add(edit(2, secret, "still secret"))
    await pages.after(CHAT, 0, DIALECT)  # its frames are made
    pages.add(deletion(3, secret))
    replay = await pages.after(CHAT, 0, DIALECT)
    assert seqs(replay) == [1, 2, 3]
    assert b"secret" not in b"".join(replay.frames)
    assert [orjson.loads(frame[frame.index(b"{") :])["data"]["is_deleted"] for frame in replay.frames] == [True] * 3


async def test_deleted_data_are_not_replayed(tasks: Tasks) -> None:
    secret = replace(message(1, ""), data='{"secret":1}')
    pages = ReplayCache(SlowLog([]), tasks)
    pages.add(secret)
    assert b"secret" in b"".join((await pages.after(CHAT, 0, DIALECT)).frames)
    pages.add(replace(edit(2, secret, ""), data='{"secret":2}'))
    replay = await pages.after(CHAT, 0, DIALECT)
    assert [event.data for event in replay.events] == ['{"secret":2}'] * 2
    pages.add(deletion(3, replace(secret, data=None)))
    assert b"secret" not in b"".join((await pages.after(CHAT, 0, DIALECT)).frames)


async def test_reply_does_not_replay_the_deleted_text_of_its_target(tasks: Tasks) -> None:
    secret = message(1, "secret")
    target = RepliedTo(secret.message_id, secret.sender, "secret")
    reply = replace(message(PAGE + 5, "yes"), reply_to=target, mentions=(1,))
    pages = ReplayCache(SlowLog([]), tasks)
    pages.add(reply)
    assert b"secret" in b"".join((await pages.after(CHAT, PAGE + 4, DIALECT)).frames)
    pages.add(edit(PAGE + 6, secret, "another"))
    assert (await pages.events_after(CHAT, PAGE + 4))[0] == reply
    pages.add(deletion(PAGE + 7, secret))
    replay = await pages.after(CHAT, PAGE + 4, DIALECT)
    assert replay.events[0] == replace(reply, reply_to=replace(target, text=""))
    assert b"secret" not in b"".join(replay.frames)


async def test_reaction_changes_the_counts_of_its_message_only(tasks: Tasks) -> None:
    first = message(1)
    pages = ReplayCache(SlowLog([]), tasks)
    pages.add(first)
    for seq, counts in ((2, '{"👍": 1}'), (3, '{"👍": 2}')):
        reaction = Reaction(seq, "👍", removed=False, counts=counts)
        pages.add(replace(first, seq=seq, kind=EventKind.REACTION, reactions=counts, reaction=reaction))
    replay = await pages.after(CHAT, 0, DIALECT)
    told = [orjson.loads(frame[frame.index(b"{") :]) for frame in replay.frames]
    assert told[0]["data"]["reactions"] == {"👍": 2}
    assert [frame["counts"] for frame in told[1:]] == [{"👍": 1}, {"👍": 2}]
    assert {event.reactions for event in replay.events} == {'{"👍": 2}'}
    pages.add(deletion(4, first))
    assert {event.reactions for event in (await pages.after(CHAT, 0, DIALECT)).events} == {None}


async def test_deletion_in_other_page_clears_text(tasks: Tasks) -> None:
    secret = message(PAGE, "secret")
    pages = ReplayCache(SlowLog([]), tasks)
    pages.add(secret)
    pages.add(deletion(PAGE + 1, secret))
    (event,) = (await pages.after(CHAT, PAGE - 1, DIALECT)).events
    assert (event.text, event.is_deleted, event.kind) == ("", True, EventKind.MESSAGE)


async def test_message_deleted_during_read_is_replayed_without_text(tasks: Tasks) -> None:
    secret = message(1, "secret")
    log = SlowLog([secret])
    log.may_answer.clear()
    pages = ReplayCache(log, tasks)
    reader = asyncio.create_task(pages.after(CHAT, 0, DIALECT))
    await until(lambda: log.reads == [0])
    pages.add(deletion(2, secret))
    log.may_answer.set()
    replay = await reader
    assert seqs(replay) == [1, 2]
    assert b"secret" not in b"".join(replay.frames)
    assert [event.text for event in (await pages.after(CHAT, 0, DIALECT)).events] == ["", ""]
    assert log.reads == [0]


async def test_many_edits_of_one_message_cost_about_as_messages(tasks: Tasks) -> None:
    """Nobody counts edits: were each to go through all pages, their author could stop every node of the chat."""
    first = message(1)

    def cost(events: Sequence[ChatEvent]) -> float:
        pages = ReplayCache(SlowLog([]), tasks)
        started = time.process_time()
        for event in events:
            pages.add(event)
        return time.process_time() - started

    plain = cost([message(seq) for seq in range(1, 10_001)])
    edits = [first, *(edit(seq, first, f"text {seq}") for seq in range(2, 10_001))]
    assert cost(edits) < 20 * plain
    pages = ReplayCache(SlowLog([]), tasks)
    for event in edits:
        pages.add(event)
    for seq in (0, 5_000, 9_950):
        texts = {event.text for event in (await pages.after(CHAT, seq, DIALECT)).events}
        assert texts == {"text 10000"}


async def test_late_edit_does_not_restore_deleted_text(tasks: Tasks) -> None:
    secret = message(1, "secret")
    gone = replace(secret, text="", is_deleted=True)
    pages = ReplayCache(SlowLog([gone, replace(deletion(2, secret), seq=2)]), tasks)
    await pages.after(CHAT, 0, DIALECT)  # the store is ahead of what was delivered
    pages.add(edit(2, secret, "secret again"))
    assert [event.text for event in (await pages.after(CHAT, 0, DIALECT)).events] == ["", ""]


async def test_chat_without_subscribers_is_dropped(tasks: Tasks) -> None:
    log = SlowLog([message(1)])
    pages = ReplayCache(log, tasks)
    pages.add(message(1))
    pages.forget(CHAT)
    assert pages.size == 0
    assert seqs(await pages.after(CHAT, 0, DIALECT)) == [1]
    assert log.reads == [0]


async def test_page_read_for_dropped_chat_is_not_cached(tasks: Tasks) -> None:
    log = SlowLog([message(1)])
    log.may_answer.clear()
    pages = ReplayCache(log, tasks)
    reader = asyncio.create_task(pages.after(CHAT, 0, DIALECT))
    await until(lambda: log.reads == [0])
    pages.forget(CHAT)
    log.may_answer.set()
    assert seqs(await reader) == [1]
    assert pages.size == 0


async def test_total_page_size_stays_within_limit(tasks: Tasks) -> None:
    pages = ReplayCache(SlowLog([]), tasks, max_bytes=300_000)
    for chat in range(20):
        for seq in range(1, 2 * PAGE + 1):
            pages.add(replace(message(seq, "x" * 100), chat_id=chat))
        await pages.after(chat, PAGE, DIALECT)
        assert 0 < pages.size <= 300_000
    assert len((await pages.after(19, PAGE, DIALECT)).events) == PAGE


async def test_dropped_pages_release_their_size(tasks: Tasks) -> None:
    pages = ReplayCache(SlowLog([]), tasks)
    first = message(1, "x" * 500)
    pages.add(first)
    for seq in range(2, 3 * PAGE):
        pages.add(message(seq))
    await pages.after(CHAT, 0, DIALECT)
    pages.add(deletion(3 * PAGE, first))
    await pages.after(CHAT, 0, DIALECT)
    pages.forget(CHAT)
    assert pages.size == 0


async def test_store_outage_fails_every_waiting_reader(tasks: Tasks) -> None:
    log = SlowLog([])
    log.is_down = True
    pages = ReplayCache(log, tasks)
    outcomes = await asyncio.gather(*(pages.after(CHAT, 0, DIALECT) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 3
    log.is_down, log.events = False, [message(1)]
    assert seqs(await pages.after(CHAT, 0, DIALECT)) == [1]


async def test_cancelled_reader_does_not_cancel_shared_read(tasks: Tasks) -> None:
    log = SlowLog([message(1)])
    log.may_answer.clear()
    pages = ReplayCache(log, tasks)
    first, second = (asyncio.create_task(pages.after(CHAT, 0, DIALECT)) for _ in range(2))
    await until(lambda: log.reads == [0])
    first.cancel()
    log.may_answer.set()
    assert seqs(await second) == [1]
    assert log.reads == [0]


async def until(condition: object) -> None:
    """Return once it holds."""
    assert callable(condition)
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)
