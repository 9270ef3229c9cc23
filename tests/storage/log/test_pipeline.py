"""Group commit with a commit under control of the test."""

import asyncio
import random
from collections import defaultdict
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
    """Commits in memory, when the test lets it: all chats, or one of them."""

    most_at_once = 2

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        """The texts of each, in the order of their ends."""
        self.go = asyncio.Event()
        self.go.set()
        self.locked: dict[int, asyncio.Event] = {}
        """Chats whose batches wait for an event of their own."""
        self.begun = 0
        self.down = False
        self._under_way: set[int] = set()
        self._seq = 0

    async def commit(self, events: Sequence[NewEvent]) -> list[Outcome]:
        self.begun += 1
        chats = [event.chat_id for event in events]
        assert not self._under_way.intersection(chats), "a chat has two commits at a time"
        self._under_way.update(chats)
        try:
            await self.go.wait()
            for lock in [self.locked[chat] for chat in set(chats) if chat in self.locked]:
                await lock.wait()
        finally:
            self._under_way.difference_update(chats)
        if self.down:
            raise StorageUnavailable
        if any(event.text == "poison" for event in events):
            raise ValueError("no database takes this")
        self.batches.append([event.text for event in events])
        return [self._store(event) for event in events]

    def _store(self, event: NewEvent) -> Outcome:
        self._seq += 1
        kind, text = event.kind, event.text
        chat_id, msg_id = event.chat_id, event.client_msg_id
        return Committed(ChatEvent(chat_id, self._seq, kind, self._seq, ANN, text, NOW, False, False, msg_id))

    async def close(self) -> None:
        """Nothing to give back."""


def meets_the_seam(commit: HeldCommit) -> Commit:
    return commit


class Desk:
    """A pipeline, and what became of its events."""

    def __init__(self, hold_s: float = 0) -> None:
        self.commit = HeldCommit()
        self.pipeline = Pipeline(self.commit, lambda size, seconds: None, hold_s)
        self.answers: list[tuple[str, Outcome]] = []
        """In the order of the calls."""

    def submit(self, *texts: str, chat: int = 1) -> "list[asyncio.Future[Outcome]]":
        return [self.submit_event(message(chat, ANN, text)) for text in texts]

    def submit_event(self, event: NewEvent) -> "asyncio.Future[Outcome]":
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def done(outcome: Outcome) -> None:
            self.answers.append((event.text, outcome))
            answered.set_result(outcome)

        self.pipeline.submit(event, done)
        return answered

    async def begins(self, count: int) -> None:
        """Wait until this number of commits have begun."""
        while self.commit.begun < count:
            await asyncio.sleep(0.001)

    async def submit_while_busy(self, *texts: str) -> "list[asyncio.Future[Outcome]]":
        """Submit behind a commit that is under way until `commit.go` is set."""
        self.commit.go.clear()
        begun = self.commit.begun
        first = self.submit("first")
        await self.begins(begun + 1)
        return first + self.submit(*texts)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    yield desk
    await desk.pipeline.close(0)


async def test_events_during_a_commit_form_the_next_batch(desk: Desk) -> None:
    futures = await desk.submit_while_busy("a", "b", "c")
    desk.commit.go.set()
    await outcomes(futures)
    assert desk.commit.batches == [["first"], ["a", "b", "c"]]


async def test_hold_of_an_idle_pipeline_collects_events() -> None:
    desk = Desk(hold_s=1)
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
    await desk.pipeline.close(10)


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


async def test_close_commits_in_time_and_rejects_the_rest(desk: Desk) -> None:
    desk.commit.locked[2] = asyncio.Event()
    desk.submit("locked", "behind", chat=2)
    await desk.begins(1)
    accepted = desk.submit("a")
    closing = asyncio.create_task(desk.pipeline.close(600))
    await asyncio.sleep(0)
    desk.submit("late")
    await outcomes(accepted)
    assert not closing.done()
    await desk.pipeline.close(0)
    await closing
    assert [text for text, _ in desk.answers] == ["late", "a", "locked", "behind"]
    assert [outcome is Refusal.UNAVAILABLE for _, outcome in desk.answers] == [True, False, True, True]
    assert desk.pipeline.waiting == 0


async def test_late_commit_does_not_hold_up_other_chats(desk: Desk) -> None:
    lock = desk.commit.locked[2] = asyncio.Event()
    stuck = desk.submit("locked", chat=2)
    await desk.begins(1)
    stuck += desk.submit("behind", chat=2)
    for text in ("a", "b", "c"):
        await outcomes(desk.submit(text))
    assert desk.commit.batches == [["a"], ["b"], ["c"]]
    lock.set()
    await outcomes(stuck)
    assert desk.commit.batches[3:] == [["locked"], ["behind"]]


async def test_event_between_commits_beside_late_one_is_taken(desk: Desk) -> None:
    lock = desk.commit.locked[2] = asyncio.Event()
    stuck = desk.submit("locked", chat=2)
    await desk.begins(1)
    next_one: asyncio.Future[list[asyncio.Future[Outcome]]] = asyncio.get_running_loop().create_future()
    [first] = desk.submit("a")
    first.add_done_callback(lambda _: next_one.set_result(desk.submit("b")))
    await outcomes(await next_one)
    lock.set()
    await outcomes(stuck)


async def test_late_commit_ends_beside_a_punctual_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    locks = desk.commit.locked = {chat: asyncio.Event() for chat in (1, 2)}
    futures = desk.submit("late", chat=1)
    await desk.begins(1)
    monkeypatch.setattr(pipeline_module, "LATE_S", 600)
    futures += desk.submit("punctual", chat=2)
    await desk.begins(2)
    futures += desk.submit("behind", chat=1) + desk.submit("other", chat=3)
    locks[1].set()
    await outcomes(futures[:1])
    await asyncio.sleep(0.05)
    assert desk.commit.begun == 2
    locks[2].set()
    await outcomes(futures)
    assert desk.commit.batches == [["late"], ["punctual"], ["other", "behind"]]


async def test_punctual_commit_runs_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "LATE_S", 600)
    desk.commit.go.clear()
    futures = desk.submit("a", chat=1)
    await desk.begins(1)
    futures += desk.submit("b", chat=2)
    futures += desk.submit("c", chat=3)
    await asyncio.sleep(0.05)
    assert desk.commit.begun == 1
    desk.commit.go.set()
    await outcomes(futures)
    assert desk.commit.batches == [["a"], ["b", "c"]]


async def test_two_late_commits_begin_no_third(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "LATE_S", 0.001)
    desk.commit.go.clear()
    futures = desk.submit("a", chat=1)
    await desk.begins(1)
    futures += desk.submit("b", chat=2)
    await desk.begins(2)
    await asyncio.sleep(0.05)  # both are late
    futures += desk.submit("c", chat=3)
    await asyncio.sleep(0.05)
    assert desk.commit.begun == 2
    desk.commit.go.set()
    await outcomes(futures)
    assert sorted(desk.commit.batches) == [["a"], ["b"], ["c"]]


async def test_outage_of_one_commit_leaves_chats_of_the_other(desk: Desk) -> None:
    locks = desk.commit.locked = {chat: asyncio.Event() for chat in (1, 2)}
    failing = desk.submit("a", chat=1)
    await desk.begins(1)
    others = desk.submit("b", chat=2)
    await desk.begins(2)
    failing += desk.submit("a2", chat=1)
    others += desk.submit("b2", chat=2)
    failing += desk.submit("c", chat=3)
    desk.commit.down = True
    locks[1].set()
    assert await outcomes(failing) == [Refusal.UNAVAILABLE] * 3
    assert not any(future.done() for future in others)
    desk.commit.down = False
    locks[2].set()
    assert all(isinstance(answer, Committed) for answer in await outcomes(others))
    assert [text for text, _ in desk.answers] == ["a", "c", "a2", "b", "b2"]


async def test_chats_take_turns_and_none_fills_the_queue(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "BATCH_LIMIT", 3)
    monkeypatch.setattr(pipeline_module, "CHAT_LIMIT", 4)
    futures = await desk.submit_while_busy("1", "2", "3", "4", "5")
    assert futures[-1].result() is Refusal.UNAVAILABLE
    futures += desk.submit("x", "y", chat=2)
    desk.commit.go.set()
    await outcomes(futures)
    assert desk.commit.batches == [["first"], ["x", "y", "1"], ["2", "3", "4"]]


@pytest.mark.parametrize("seed", range(5))
async def test_order_of_each_chat_is_kept_whatever_fails(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random durations, duplicates, outages and poison, with 1 to 2 commits at a time; callbacks submit again."""
    monkeypatch.setattr(pipeline_module, "LATE_S", 0.002)
    monkeypatch.setattr(pipeline_module, "BATCH_LIMIT", 7)
    chance = random.Random(seed)
    desk = Desk()
    commit = desk.commit.commit

    async def unsteady(events: Sequence[NewEvent]) -> list[Outcome]:
        await asyncio.sleep(chance.choice((0, 0, 0.001, 0.01)))
        desk.commit.down = chance.random() < 0.1
        return await commit(events)

    monkeypatch.setattr(desk.commit, "commit", unsteady)
    sent: defaultdict[int, list[str]] = defaultdict(list)
    futures = []
    for number in range(400):
        chat = chance.randrange(6)
        text = "poison" if chance.random() < 0.02 else f"{chat}.{number}"
        sent[chat].append(text)
        futures += desk.submit(text, chat=chat)
        if chance.random() < 0.3:
            await asyncio.sleep(chance.choice((0, 0.001, 0.003)))
    await desk.pipeline.close(20)
    assert all(future.done() for future in futures)
    assert len(desk.answers) == 400
    stored = [text for batch in desk.commit.batches for text in batch]
    for chat, texts in sent.items():
        answered = [text for text, _ in desk.answers if text.startswith(f"{chat}.")]
        assert answered == [text for text in texts if text != "poison"]
        kept = [text for text in stored if text.startswith(f"{chat}.")]
        assert kept == sorted(kept, key=answered.index)
        committed = {text for text, outcome in desk.answers if isinstance(outcome, Committed)}
        assert committed.intersection(answered) <= set(kept)  # an outage after half of a batch leaves that half


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
    await desk.pipeline.close(10)
