"""Group commit with a commit under control of the test."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest

from storage.errors import StorageUnavailable
from storage.log import pipeline as pipeline_module
from storage.log.commit import Commit
from storage.log.pipeline import Pipeline
from storage.records import ChatEvent, Committed, NewEvent, Outcome, Person, Refusal
from tests.storage.nodes import message, outcomes

ANN = Person(1, "ann")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class HeldCommit:
    """Commits in memory, when the test lets it."""

    pipelines = 1

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.down = False
        self._seq = 0

    async def commit(self, events: Sequence[NewEvent]) -> list[Outcome]:
        await self.go.wait()
        if self.down:
            raise StorageUnavailable
        if any(event.text == "poison" for event in events):
            raise ValueError("no database takes this")
        self.batches.append([event.text for event in events])
        return [self._store(event) for event in events]

    def _store(self, event: NewEvent) -> Outcome:
        self._seq += 1
        kind, text = event.kind, event.text
        stored = ChatEvent(1, self._seq, kind, self._seq, ANN, text, NOW, False, False, event.client_msg_id)
        return Committed(stored)

    async def close(self) -> None:
        """Nothing to give back."""


def meets_the_seam(commit: HeldCommit) -> Commit:
    return commit


class Desk:
    """A running pipeline."""

    def __init__(self, hold_s: float = 0) -> None:
        self.commit = HeldCommit()
        self.pipeline = Pipeline(self.commit, lambda size, seconds: None, hold_s)
        self.task = asyncio.create_task(self.pipeline.run())

    def submit(self, *texts: str) -> "list[asyncio.Future[Outcome]]":
        return [self.submit_event(message(1, ANN, text)) for text in texts]

    def submit_event(self, event: NewEvent) -> "asyncio.Future[Outcome]":
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.pipeline.submit(event, answered.set_result)
        return answered

    async def submit_while_busy(self, *texts: str) -> "list[asyncio.Future[Outcome]]":
        """Submit behind a commit that is under way until `commit.go` is set."""
        self.commit.go.clear()
        first = self.submit("first")
        await asyncio.sleep(0)  # the pipeline takes it
        await asyncio.sleep(0)
        return first + self.submit(*texts)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    yield desk
    desk.task.cancel()
    await asyncio.gather(desk.task, return_exceptions=True)


async def test_events_during_a_commit_form_the_next_batch(desk: Desk) -> None:
    futures = await desk.submit_while_busy("a", "b", "c")
    desk.commit.go.set()
    await outcomes(futures)
    assert desk.commit.batches == [["first"], ["a", "b", "c"]]


async def test_hold_of_an_idle_pipeline_collects_events() -> None:
    desk = Desk(hold_s=1)
    await asyncio.sleep(0)  # the pipeline waits
    futures = desk.submit("a")
    for _ in range(5):
        await asyncio.sleep(0)
    futures += desk.submit("b")
    desk.commit.go.clear()
    while desk.pipeline.waiting:
        await asyncio.sleep(0.01)
    futures += desk.submit("c", "d")
    desk.commit.go.set()
    await outcomes(futures)
    assert desk.commit.batches == [["a", "b"], ["c", "d"]]
    desk.pipeline.close()
    await desk.task


async def test_batch_size_is_limited(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "BATCH_LIMIT", 2)
    await outcomes(desk.submit("a", "b", "c", "d", "e"))
    assert desk.commit.batches == [["a", "b"], ["c", "d"], ["e"]]


async def test_unstorable_event_fails_alone_and_order_is_kept(desk: Desk) -> None:
    answers = await outcomes(desk.submit("a", "b", "poison", "c", "d", "e"))
    assert answers[2] is Refusal.NOT_STORABLE
    assert [a.event.text for a in answers if isinstance(a, Committed)] == ["a", "b", "c", "d", "e"]
    assert [a.event.seq for a in answers if isinstance(a, Committed)] == [1, 2, 3, 4, 5]


async def test_outage_fails_waiting_events_and_next_is_committed(desk: Desk) -> None:
    futures = await desk.submit_while_busy("a", "b")
    desk.commit.down = True
    desk.commit.go.set()
    assert await outcomes(futures) == [Refusal.UNAVAILABLE] * 3
    desk.commit.down = False
    assert isinstance((await outcomes(desk.submit("c")))[0], Committed)


async def test_full_queue_rejects_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "QUEUE_LIMIT", 2)
    futures = await desk.submit_while_busy("a", "b", "c")
    assert futures[3].done()
    assert futures[3].result() is Refusal.UNAVAILABLE
    desk.commit.go.set()
    assert all(isinstance(answer, Committed) for answer in await outcomes(futures[:3]))


async def test_cancelled_pipeline_fails_all_waiting_events(desk: Desk) -> None:
    futures = await desk.submit_while_busy("a", "b")
    desk.task.cancel()
    assert await outcomes(futures) == [Refusal.UNAVAILABLE] * 3


async def test_duplicate_in_a_batch_is_committed_once(desk: Desk) -> None:
    first, again = message(1, ANN, "a", "id"), message(1, ANN, "a", "id")
    answers = await outcomes([desk.submit_event(event) for event in (first, again, message(1, ANN, "b", "id"))])
    assert desk.commit.batches == [["a"]]
    assert [a.duplicate if isinstance(a, Committed) else a for a in answers] == [False, True, Refusal.ID_REUSED]


async def test_outage_refuses_what_waits_once_and_forgets_it() -> None:
    desk = Desk()
    waiting = await desk.submit_while_busy("second", "third")
    desk.commit.down = True
    desk.commit.go.set()
    assert await outcomes(waiting) == [Refusal.UNAVAILABLE] * len(waiting)
    desk.commit.down = False
    assert isinstance((await outcomes(desk.submit("fourth")))[0], Committed)
    assert (desk.commit.batches, desk.pipeline.waiting) == ([["fourth"]], 0)
    desk.pipeline.close()
    await desk.task
