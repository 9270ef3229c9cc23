"""The recorder writes lines at once and rows soon; no outage, full queue or bad row fails or delays its callers."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from httpapi.audit import recorder as module
from httpapi.audit.events import Event, Result
from httpapi.audit.recorder import Recorder
from httpapi.audit.sampling import Sampler
from tests.httpapi.audit.memory_store import MemoryStore
from tests.support.waiting import eventually


@asynccontextmanager
async def running(recorder: Recorder) -> AsyncIterator[None]:
    task = asyncio.create_task(recorder.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await recorder.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "GATHER_S", 0.01)
    monkeypatch.setattr(module, "TICK_S", 0.02)
    caplog.set_level(logging.INFO)


def ban(recorder: Recorder, user_id: int, actor: str = "service:bank") -> None:
    recorder.record(Event.USER_BANNED, Result.OK, actor, user_id=user_id)


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [record.__dict__["fields"] for record in caplog.records if record.name == "audit"]


async def test_record_is_a_line_at_once_and_a_row_soon(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    recorder = Recorder(store, "node-1", now=lambda: 12.5)
    async with running(recorder):
        recorder.record(
            Event.USER_BANNED,
            Result.OK,
            "service:bank",
            address=lambda: "10.0.0.1",
            user_id=7,
            facts={"reason": "spam"},
        )
        (line,) = lines(caplog)
        assert (line["action"], line["result"], line["actor"], line["user_id"]) == (
            "user_banned",
            "ok",
            "service:bank",
            7,
        )
        assert line["facts"] == {"reason": "spam"} and "chat_id" not in line and "count" not in line
        await eventually(lambda: bool(store.entries))
    (entry,) = store.entries
    assert (entry.uid, entry.created_at, entry.node, entry.address) == (line["id"], 12500, "node-1", "10.0.0.1")


async def test_records_share_transactions(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    async with running(recorder := Recorder(store, "n")):
        for number in range(450):
            ban(recorder, number)
        await eventually(lambda: len(store.entries) == 450)
    assert store.batches == [200, 200, 50]
    assert [entry.user_id for entry in store.entries] == list(range(450))


async def test_rows_wait_for_an_absent_database_and_lines_do_not(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    store.is_down = True
    async with running(recorder := Recorder(store, "n")):
        for number in range(5):
            ban(recorder, number)
        await asyncio.sleep(0.1)
        assert len(lines(caplog)) == 5 and recorder.waiting == 5
        store.is_down = False
        await eventually(lambda: recorder.waiting == 0)
    assert [entry.user_id for entry in store.entries] == list(range(5))
    assert sum(record.msg == "audit_not_stored" for record in caplog.records) == 1


async def test_full_queue_is_counted_and_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 10)
    store, counted = MemoryStore(), Counter[str]()
    store.is_down = True
    recorder = Recorder(store, "n", on_outcome=lambda outcome, number: counted.update({outcome: number}))
    async with running(recorder):
        for number in range(25):
            ban(recorder, number)
        assert recorder.waiting == 10
        assert len(lines(caplog)) == 25
        store.is_down = False
        await eventually(lambda: len(store.entries) == 11)
    last = store.entries[-1]
    assert (last.event, last.result, last.count) == ("records_lost", "failed", 15)
    assert counted == {"lost": 15, "stored": 11}


async def test_skipped_records_are_summarised(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    store, counted = MemoryStore(), Counter[str]()
    recorder = Recorder(
        store,
        "n",
        sampler=Sampler(lambda: now),
        on_outcome=lambda outcome, number: counted.update({outcome: number}),
    )
    async with running(recorder):
        for _ in range(1000):
            recorder.record(Event.LOGIN, Result.DENIED, "anonymous", address=lambda: "10.0.0.1")
        assert len(lines(caplog)) == 10
        now = 61.0
        await eventually(lambda: len(store.entries) == 11)
    assert (store.entries[-1].actor, store.entries[-1].count) == ("several", 990)
    assert lines(caplog)[-1]["count"] == 990
    assert counted == {"skipped": 990, "stored": 11}


async def test_row_that_is_never_accepted_costs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    store, counted = MemoryStore(), Counter[str]()
    store.poison = "service:bad"
    recorder = Recorder(store, "n", on_outcome=lambda outcome, number: counted.update({outcome: number}))
    async with running(recorder):
        for number in range(300):
            ban(recorder, number, "service:bad" if number == 7 else "service:bank")
        await eventually(lambda: recorder.waiting == 0)
    assert [entry.user_id for entry in store.entries] == [number for number in range(300) if number != 7]
    assert store.batches == [1] * 199 + [100]
    assert counted == {"stored": 299, "lost": 1}
    assert sum(record.msg == "audit_row_rejected" for record in caplog.records) == 1


async def test_end_stores_what_waits_and_the_last_summary() -> None:
    store = MemoryStore()
    recorder = Recorder(store, "n")
    for _ in range(15):
        recorder.record(Event.LOGIN, Result.DENIED, "anonymous")
    await recorder.close()
    assert [entry.count for entry in store.entries] == [1] * 10 + [5]


async def test_end_without_database_is_bounded_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    store.is_down = True
    recorder = Recorder(store, "n")
    ban(recorder, 1)
    async with asyncio.timeout(5):
        await recorder.close()
    assert "audit_rows_lost" in caplog.text


async def test_without_rows_there_are_lines_and_purges(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    async with running(recorder := Recorder(store, "n", stores_rows=False)):
        ban(recorder, 1)
        await eventually(lambda: store.purges == 1)
    assert (len(lines(caplog)), recorder.waiting, store.entries) == (1, 0, [])
