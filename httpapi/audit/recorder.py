"""Records what happened: at once as a line of the log, and soon after as a row of the database.

Keeps: `record` never waits and never raises, so that neither a slow nor an absent database delays or fails a request.
Rows wait in a bounded queue for the one task that writes them in batches; those that the queue cannot take are counted
and reported in one record. A process that is killed loses the rows of the last GATHER_S, never the lines.
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Final, Protocol

from httpapi.audit.events import Event, Result
from httpapi.audit.sampling import SEVERAL, WINDOW_S, Sampler
from storage.audit_entry import AuditEntry
from storage.errors import StorageUnavailable

lines = logging.getLogger("audit")
logger = logging.getLogger("httpapi")

MAX_WAITING: Final = 10_000
"""Rows that wait for the database; a few MB."""
BATCH: Final = 200
MAX_ADDRESS: Final = 45
"""An IPv6 address with an embedded IPv4 address."""
GATHER_S: Final = 0.2
"""How long the writer lets rows gather, so that many share a transaction."""
TICK_S: Final = 1.0
"""Between two attempts while the database is unavailable, and between two looks at the clock."""
PURGE_S: Final = 60.0
CLOSE_S: Final = 3.0
"""What the last write may take when the process ends."""
OUTCOMES: Final = ("stored", "skipped", "lost")


class AuditStore(Protocol):
    """Implemented by `storage.repositories.audit_records`; every method raises StorageUnavailable."""

    async def add(self, entries: Sequence[AuditEntry]) -> None:
        """Store entries; those that are stored already are skipped."""
        ...

    async def purge(self) -> int:
        """Delete a bounded number of expired rows; returns their number."""
        ...


class Recorder:
    """The audit log of a process; `run` must be run as a task, and `close` called after the last record.

    Without a store there are only lines. `stores_rows` is false where old rows are purged and none are added.
    `on_outcome(outcome, number)` counts rows by OUTCOMES.
    """

    def __init__(
        self,
        store: AuditStore | None,
        node: str,
        *,
        stores_rows: bool = True,
        sampler: Sampler | None = None,
        on_outcome: Callable[[str, int], None] = lambda *_: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._node = node
        self._stores_rows = stores_rows and store is not None
        self._sampler = sampler or Sampler()
        self._on_outcome = on_outcome
        self._now = now
        self._waiting: deque[AuditEntry] = deque()
        self._arrived = asyncio.Event()
        self._one_by_one = 0
        """How many of the next rows are stored alone, because the database rejected them together."""
        self._lost = 0
        self._is_down = False
        self._purge_at = time.monotonic()

    @property
    def waiting(self) -> int:
        """Rows that wait for the database."""
        return len(self._waiting)

    def record(
        self,
        event: Event,
        result: Result,
        actor: str,
        *,
        operation: str = "",
        on_behalf_of: str = "",
        address: Callable[[], str] = lambda: "",
        request_id: str = "",
        user_id: int | None = None,
        chat_id: int | None = None,
        facts: Mapping[str, str | int] | None = None,
    ) -> None:
        """Record an event now, unless its caller has caused too many; `address` is called only if it is needed."""
        if not self._sampler.admits(event, result, actor, operation, address):
            self._on_outcome("skipped", 1)
            return
        entry = AuditEntry(
            uid=secrets.token_hex(8),
            created_at=int(self._now() * 1000),
            event=event.value,
            result=result.value,
            actor=actor,
            operation=operation,
            on_behalf_of=on_behalf_of,
            address=address()[:MAX_ADDRESS],
            request_id=request_id,
            user_id=user_id,
            chat_id=chat_id,
            facts=facts or {},
            node=self._node,
        )
        self._write(entry)

    async def run(self) -> None:
        """Store what is recorded, summarise what is not, and purge what has expired, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(TICK_S):
                    await self._arrived.wait()
                await asyncio.sleep(GATHER_S)
            except TimeoutError:
                pass
            self._arrived.clear()
            self._summarize()
            await self._store_waiting()
            await self._purge_when_due()

    async def close(self) -> None:
        """Record the last summaries and store what waits, within CLOSE_S; the task of `run` has ended."""
        self._summarize(is_last=True)
        try:
            async with asyncio.timeout(CLOSE_S):
                while self._waiting and not self._is_down:
                    await self._store_waiting(waits=False)
        except TimeoutError:
            self._is_down = True
        if self._waiting:
            self._on_outcome("lost", len(self._waiting))
            logger.error("audit_rows_lost", extra={"fields": {"rows": len(self._waiting)}})

    def _write(self, entry: AuditEntry) -> None:
        lines.info("audit", extra={"fields": line_of(entry)})
        if not self._stores_rows:
            return
        if len(self._waiting) >= MAX_WAITING:
            self._lost += 1
            self._on_outcome("lost", 1)
            return
        self._waiting.append(entry)
        self._arrived.set()

    def _summarize(self, *, is_last: bool = False) -> None:
        for summary, count in self._sampler.summaries(is_last=is_last):
            self._write(self._counted(*summary, count))

    def _counted(self, event: Event, result: Result, actor: str, operation: str, count: int) -> AuditEntry:
        uid, created_at = secrets.token_hex(8), int(self._now() * 1000)
        facts = {"within_s": int(WINDOW_S)}
        return AuditEntry(
            uid, created_at, event.value, result.value, actor, operation, facts=facts, count=count, node=self._node
        )

    async def _store_waiting(self, *, waits: bool = True) -> None:
        """Store all batches; on an outage, wait TICK_S if `waits`."""
        while self._store is not None and self._waiting:
            size = 1 if self._one_by_one else BATCH
            batch = list(islice(self._waiting, size))  # removed once stored: a cancellation loses none
            try:
                await self._store.add(batch)
            except StorageUnavailable as error:
                if not self._is_down:
                    logger.warning("audit_not_stored", extra={"fields": {"error": str(error)}})
                self._is_down = True
                if waits:
                    await asyncio.sleep(TICK_S)
                    self._arrived.set()
                return
            except Exception:  # a row that the database never takes must not hold up the others
                if len(batch) > 1:
                    self._one_by_one = len(batch)
                    continue
                logger.exception("audit_row_rejected")
                self._drop(batch, "lost")
                continue
            self._is_down = False
            self._drop(batch, "stored")
            if self._lost:
                lost, self._lost = self._lost, 0
                self._write(self._counted(Event.RECORDS_LOST, Result.FAILED, SEVERAL, "", lost))

    def _drop(self, batch: Sequence[AuditEntry], outcome: str) -> None:
        for _ in batch:
            self._waiting.popleft()
        self._one_by_one = max(0, self._one_by_one - len(batch))
        self._on_outcome(outcome, len(batch))

    async def _purge_when_due(self) -> None:
        if self._store is None or time.monotonic() < self._purge_at:
            return
        self._purge_at = time.monotonic() + PURGE_S
        try:
            if await self._store.purge():
                self._purge_at = time.monotonic() + TICK_S  # there may be more
        except StorageUnavailable:
            pass  # the writes report it
        except Exception:
            logger.exception("audit_purge_failed")


def line_of(entry: AuditEntry) -> dict[str, object]:
    """The fields of the entry's line; those without a value are left out. The line itself has the time and node."""
    named = {
        "id": entry.uid,
        "action": entry.event,
        "result": entry.result,
        "actor": entry.actor,
        "on_behalf_of": entry.on_behalf_of,
        "operation": entry.operation,
        "user_id": entry.user_id,
        "chat_id": entry.chat_id,
        "address": entry.address,
        "request_id": entry.request_id,
        "facts": dict(entry.facts),
        "count": entry.count if entry.count > 1 else None,
    }
    return {name: value for name, value in named.items() if value not in (None, "", {})}
