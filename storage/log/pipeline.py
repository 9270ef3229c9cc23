"""Group commit: events that arrive during a commit form the next batch; an idle pipeline commits at once.

With a hold, an idle pipeline waits so long for others first.

Invariants: `done` is called exactly once for each submission, in the event loop, in submission order; a submission is
never dropped because its caller disconnected; the queue is bounded; no failure ends the pipeline.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from storage.errors import StorageUnavailable
from storage.log.commit import BATCH_LIMIT, Commit, digest_of
from storage.records import Committed, NewEvent, OnOutcome, Outcome, Refusal

QUEUE_LIMIT = 5_000  # waiting submissions per pipeline: one second of work on a slow disk

OnBatch = Callable[[int, float], None]  # number of events, seconds that their commit took

_log = logging.getLogger(__name__)


class Pipeline:
    """Commits the events of its chats, in order, one batch at a time. `run` is its task."""

    def __init__(self, commit: Commit, on_batch: OnBatch, hold_s: float = 0.0) -> None:
        """`hold_s`: how long the first event of an idle pipeline waits for others."""
        self._commit = commit
        self._on_batch = on_batch
        self._hold_s = hold_s
        self._waiting: deque[tuple[NewEvent, OnOutcome]] = deque()
        self._under_way: list[tuple[OnOutcome, NewEvent, int]] = []
        self._stirred = asyncio.Event()
        self._closing = False

    def submit(self, event: NewEvent, done: OnOutcome) -> None:
        """Queue an event; never blocks. A full or closing pipeline rejects it with UNAVAILABLE at once."""
        if self._closing or len(self._waiting) >= QUEUE_LIMIT:
            done(Refusal.UNAVAILABLE)
            return
        self._waiting.append((event, done))
        self._stirred.set()

    @property
    def waiting(self) -> int:
        """Number of events that wait for the next batch."""
        return len(self._waiting)

    def close(self) -> None:
        """Accept no further events; `run` returns when all accepted ones are committed."""
        self._closing = True
        self._stirred.set()

    async def run(self) -> None:
        """Commit until closed. If it is cancelled, the remaining events get UNAVAILABLE."""
        try:
            while True:
                was_idle = not self._stirred.is_set()
                await self._stirred.wait()
                if self._waiting:
                    if was_idle and self._hold_s:
                        await asyncio.sleep(self._hold_s)
                    await self._commit_next()
                elif self._closing:
                    return
                else:
                    self._stirred.clear()
        finally:
            self._refuse_all()

    async def _commit_next(self) -> None:
        events = self._take()
        started = time.perf_counter()
        try:
            outcomes = await self._outcomes(events)
        except StorageUnavailable as error:
            _log.warning("a batch of %d events was not committed: %s", len(events), error)
            # the waiting events would run into one timeout after the other; their senders may retry
            self._refuse_all()
            return
        self._on_batch(len(events), time.perf_counter() - started)
        answers, self._under_way = self._under_way, []
        for done, event, place in answers:
            _call(done, _own_outcome(event, events[place], outcomes[place]))

    def _take(self) -> list[NewEvent]:
        """The next batch. A duplicate in it (a fast retry of a client) shares the place of the first."""
        events: list[NewEvent] = []
        places: dict[tuple[int, int, str], int] = {}
        while self._waiting and len(events) < BATCH_LIMIT:
            event, done = self._waiting.popleft()
            place = places.setdefault((event.chat_id, event.sender.id, event.client_msg_id), len(events))
            if place == len(events):
                events.append(event)
            self._under_way.append((done, event, place))
        return events

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

    def _refuse_all(self) -> None:
        answers, self._under_way = [done for done, _, _ in self._under_way], []
        answers += [done for _, done in self._waiting]
        self._waiting.clear()
        for done in answers:
            _call(done, Refusal.UNAVAILABLE)


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
