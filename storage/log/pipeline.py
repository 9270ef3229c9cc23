"""Group commit: events that arrive during a commit form the next batch; an idle pipeline commits at once.

A commit that is late does not hold up the events of other chats: the next one begins beside it. With a hold, an idle
pipeline waits so long for others first.

Invariants: `done` is called exactly once for each submission, in the event loop, in submission order of its chat; a
chat has one commit at a time; a submission is never dropped because its caller disconnected; what waits is bounded, in
all and for each chat; no failure ends the pipeline; taking a batch costs as much as its events, however many wait.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from storage.errors import StorageUnavailable
from storage.log.commit import BATCH_LIMIT, Commit, digest_of
from storage.records import Committed, NewEvent, OnOutcome, Outcome, Refusal

QUEUE_LIMIT: Final = 5_000  # waiting submissions: one second of work on a slow disk
CHAT_LIMIT: Final = 2_500  # of them in one chat, so that a locked chat does not fill the queue
LATE_S: Final = 0.01
"""After which a commit is late: it waits for a lock or for the disk. A small batch takes 1 ms, a full one 5 to 10; with
less, commits of full batches overlap, and are smaller."""

OnBatch = Callable[[int, float], None]  # number of events, seconds that their commit took

_log = logging.getLogger(__name__)


class _GroupCommit:
    """What is committed together. A duplicate (a fast retry of a client) shares the place of the first event."""

    __slots__ = ("answers", "chats", "events", "is_late")

    def __init__(self) -> None:
        self.chats: list[int] = []
        self.events: list[NewEvent] = []
        self.answers: list[tuple[OnOutcome, NewEvent, int]] = []
        """Whom to call, with the place of its event in `events`."""
        self.is_late = False


class Pipeline:
    """Commits the events of all chats, in the order of each chat."""

    def __init__(self, commit: Commit, on_batch: OnBatch, hold_s: float = 0.0) -> None:
        """`hold_s`: how long the first event of an idle pipeline waits for others."""
        self._commit = commit
        self._on_batch = on_batch
        self._hold_s = hold_s
        self._waiting: dict[int, list[tuple[NewEvent, OnOutcome]]] = {}
        """The events that wait, by chat."""
        self._count = 0
        self._ready: deque[int] = deque()
        """The chats with waiting events and no commit under way. They take turns."""
        self._busy: set[int] = set()
        """The chats of the commits under way."""
        self._may_begin = True
        """Whether a commit may begin: all that are under way are late."""
        self._workers: set[asyncio.Task[None]] = set()
        self._closing = False

    def submit(self, event: NewEvent, done: OnOutcome) -> None:
        """Queue an event; never blocks. If too many wait, or it is closing, it is UNAVAILABLE at once."""
        chat_id = event.chat_id
        waiting = self._waiting.get(chat_id)
        if self._closing or self._count >= QUEUE_LIMIT or (waiting and len(waiting) >= CHAT_LIMIT):
            done(Refusal.UNAVAILABLE)
            return
        if waiting is None:
            self._waiting[chat_id] = [(event, done)]
            if chat_id not in self._busy:
                self._ready.append(chat_id)
        else:
            waiting.append((event, done))
        self._count += 1
        if self._may_begin:
            self._begin()

    @property
    def waiting(self) -> int:
        """Number of events that wait for the next batch."""
        return self._count

    async def close(self, flush_s: float) -> None:
        """Accept no further events, and commit all accepted ones; what is left after `flush_s` gets UNAVAILABLE."""
        self._closing = True
        try:
            async with asyncio.timeout(flush_s):
                while self._workers:
                    await asyncio.wait(self._workers)
        except TimeoutError:
            pass
        finally:
            while self._workers:
                for worker in self._workers:
                    worker.cancel()
                await asyncio.wait(self._workers)
            self._refuse_ready()

    def _begin(self) -> None:
        """Begin a commit in the next turn of the event loop, if anything is ready and not too many are under way."""
        if self._ready and len(self._workers) < self._commit.most_at_once:
            self._may_begin = False
            worker = asyncio.create_task(self._work(), name="chat-log-commit")
            self._workers.add(worker)
            worker.add_done_callback(self._on_end)

    def _on_end(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if self._may_begin:
            self._begin()

    def _on_late(self, batch: _GroupCommit) -> None:
        batch.is_late = True
        self._may_begin = True
        self._begin()

    async def _work(self) -> None:
        """Commit batch after batch, until nothing is ready or, after a late one, another worker has gone on."""
        loop = asyncio.get_running_loop()
        if self._hold_s and len(self._workers) == 1:
            await asyncio.sleep(self._hold_s)
        while self._ready:
            batch = self._take()
            timer = loop.call_later(LATE_S, self._on_late, batch)
            try:
                await self._commit_batch(batch)
            except Exception:
                _log.exception("an observer of the commits failed")
            finally:
                timer.cancel()
            if batch.is_late and not self._may_begin:
                return
            self._may_begin = False
        self._may_begin = True

    def _take(self) -> _GroupCommit:
        batch = _GroupCommit()
        events, answers = batch.events, batch.answers
        places: dict[tuple[int, int, str], int] = {}
        while self._ready and len(events) < BATCH_LIMIT:
            chat_id = self._ready.popleft()
            self._busy.add(chat_id)
            batch.chats.append(chat_id)
            waiting = self._waiting[chat_id]
            taken = 0
            for event, done in waiting:
                taken += 1
                place = places.setdefault((chat_id, event.sender.id, event.client_msg_id), len(events))
                answers.append((done, event, place))
                if place == len(events):
                    events.append(event)
                    if place + 1 == BATCH_LIMIT:
                        break
            self._count -= taken
            if taken == len(waiting):
                del self._waiting[chat_id]
            else:
                del waiting[:taken]
        return batch

    async def _commit_batch(self, batch: _GroupCommit) -> None:
        outcomes: list[Outcome] | None = None
        events = batch.events
        started = time.perf_counter()
        try:
            outcomes = await self._outcomes(events)
        except StorageUnavailable as error:
            _log.warning("a batch of %d events was not committed: %s", len(events), error)
        finally:
            self._release(batch)
            if outcomes is None:
                for done, _, _ in batch.answers:
                    _call(done, Refusal.UNAVAILABLE)
                # they would run into one timeout after the other; their senders may retry
                self._refuse_ready()
        if outcomes is not None:
            took_s = time.perf_counter() - started
            for done, event, place in batch.answers:
                _call(done, _own_outcome(event, events[place], outcomes[place]))
            self._on_batch(len(events), took_s)

    def _release(self, batch: _GroupCommit) -> None:
        """Its commit has ended: what waits of its chats is ready."""
        for chat_id in batch.chats:
            self._busy.discard(chat_id)
            if chat_id in self._waiting:
                self._ready.append(chat_id)

    def _refuse_ready(self) -> None:
        """Reject what waits. Events of chats in another commit under way have its outcome before them."""
        ready, self._ready = self._ready, deque()
        for chat_id in ready:
            refused = self._waiting.pop(chat_id)
            self._count -= len(refused)
            for _, done in refused:
                _call(done, Refusal.UNAVAILABLE)

    async def _outcomes(self, events: Sequence[NewEvent]) -> list[Outcome]:
        """Commit a batch; if the database cannot store one of its events, commit the others without it.

        Raises: StorageUnavailable.
        """
        try:
            return await self._commit.commit(events)
        except StorageUnavailable:
            raise
        except Exception:
            if len(events) == 1:
                _log.exception("the database cannot take an event of chat %d", events[0].chat_id)
                return [Refusal.NOT_STORABLE]
        half = len(events) // 2
        return [*await self._outcomes(events[:half]), *await self._outcomes(events[half:])]


def _own_outcome(event: NewEvent, first: NewEvent, outcome: Outcome) -> Outcome:
    """The outcome of an event that shared the place of `first`, which got `outcome`."""
    if event is first or not isinstance(outcome, Committed):
        return outcome
    if digest_of(event) != digest_of(first):
        return Refusal.ID_REUSED
    return replace(outcome, duplicate=True)


def _call(done: OnOutcome, outcome: Outcome) -> None:
    try:
        done(outcome)
    except Exception:  # a failing callback must not affect other submissions
        _log.exception("a callback of the chat log failed")
