"""Delivers what waits in the outbox to one endpoint: at least once, in order within a chat.

Two tasks share the work. `run_fresh` sends what was never tried, many chats together. A chat whose delivery has failed
is sent alone by `run_late`, after a delay that grows: so no chat waits for another that the endpoint rejects, and no
endpoint for another.

Invariant: the events of a chat are sent by the holder of its lease only, one delivery after the other, and the next
ones only after a success.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from msgspec.structs import replace

from gateway.errors import SendFailed
from gateway.interfaces.outbox import EventSender, OutboxQueue
from gateway.tasks import full_jitter
from gateway.webhooks.loads import MAX_EVENTS, Load, Loader
from storage.errors import StorageUnavailable
from storage.outbox_records import Head

logger = logging.getLogger("gateway.webhooks")

HEADS: Final = 1_000
"""Chats that are claimed at a time."""
AT_ONCE: Final = 4
"""Deliveries of chats that have not failed."""
LATE_AT_ONCE: Final = 8
"""Deliveries of chats that have failed."""
POLL_S: Final = 1.0
"""What other nodes left behind is found within this time."""
PAUSE_S: Final = 0.1
"""Between two claims, so that what is committed meanwhile is delivered together."""
BUSY_EVENTS: Final = 100
BUSY_PAUSE_S: Final = 1.0
"""After a round of BUSY_EVENTS or more: the events of a chat that come together cost little more than one."""
MAX_DELAY_S: Final = 600.0
FIRST_DELAY: Final = 3
"""The exponent of the first delay: below 0.4 s."""
SEND_S: Final = 15.0
"""The most that a sender may take; each has a shorter limit of its own."""
ROUND_S: Final = 10.0
"""After a claim, nothing that is left of it is begun: with SEND_S and a finish it ends within the lease."""


class DeliveryEvents(Protocol):
    """What a delivery tells the metrics. Implemented by `gateway.metrics.webhooks`."""

    def delivered(self, count: int) -> None:
        """So many events were taken."""
        ...

    def failed(self, reason: str) -> None:
        """A delivery was not taken."""
        ...

    def given_up(self, count: int) -> None:
        """So many events became dead letters."""
        ...

    def lost(self, count: int) -> None:
        """So many events were removed with their chat, or by retention, before they could be sent."""
        ...


class EndpointDelivery:
    """The deliveries to one endpoint by this node. `run_fresh` and `run_late` are its owner tasks."""

    def __init__(
        self,
        endpoint: str,
        sender: EventSender,
        outbox: OutboxQueue,
        loader: Loader,
        events: DeliveryEvents,
        *,
        give_up_s: float | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._sender = sender
        self._outbox = outbox
        self._loader = loader
        self._events = events
        self._give_up_s = give_up_s
        self._stirred = asyncio.Event()
        self._taken: list[Load] = []
        """What the endpoint has taken, and the outbox has not recorded yet."""
        self._finishing = asyncio.Lock()
        self._is_failing = False

    def stir(self) -> None:
        """Claim soon: this node has committed something. Never blocks."""
        self._stirred.set()

    async def run_fresh(self) -> None:
        """Deliver what was never tried, until cancelled."""
        while True:
            is_stirred = self._stirred.is_set()
            self._stirred.clear()
            loads = await self._round(HEADS, late=False, is_stirred=is_stirred)
            events = _count_events(loads)
            while _has_left_some(loads):  # no commit stirs for these; newer commits wait for the pause
                loads = await self._round(HEADS, late=False)
                events += _count_events(loads)
            await asyncio.sleep(BUSY_PAUSE_S if events >= BUSY_EVENTS else PAUSE_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._stirred.wait()

    async def run_late(self) -> None:
        """Deliver again what has failed, or what a dead node had claimed, until cancelled."""
        while True:
            if not await self._round(LATE_AT_ONCE, late=True):
                await asyncio.sleep(POLL_S / 2 if self._is_failing else POLL_S)

    async def _round(self, limit: int, *, late: bool, is_stirred: bool = False) -> Sequence[Load]:
        """Claim and deliver, if this node is stirred or anything is due; what was claimed."""
        try:
            if not is_stirred and not await self._outbox.is_due(self._endpoint, late=late):
                return ()
            until = asyncio.get_running_loop().time() + ROUND_S
            heads = await self._outbox.claim(self._endpoint, limit, late=late)
            loads = await self._loader.read(heads) if heads else []
            turns = asyncio.Semaphore(LATE_AT_ONCE if late else AT_ONCE)
            batches = [[load] for load in loads] if late else list(_packed(loads))
            async with asyncio.TaskGroup() as group:
                for batch in batches:
                    group.create_task(self._deliver(batch, turns, until))
        except StorageUnavailable as error:  # leases end by themselves
            logger.warning("outbox_unread", extra={"fields": {"endpoint": self._endpoint, "error": str(error)}})
            await asyncio.sleep(POLL_S)
            return ()
        return loads

    async def _deliver(self, loads: Sequence[Load], turns: asyncio.Semaphore, until: float) -> None:
        try:
            async with turns:
                is_begun = asyncio.get_running_loop().time() < until
                is_taken = is_begun and await self._send(loads)
            if is_taken:
                await self._finish(loads)
            elif not is_begun:
                await self._outbox.finish([(load.head, load.head.from_seq - 1, False) for load in loads], [])
        except StorageUnavailable as error:  # the lease ends by itself
            logger.warning("outbox_unwritten", extra={"fields": {"endpoint": self._endpoint, "error": str(error)}})

    async def _send(self, loads: Sequence[Load]) -> bool:
        """Whether the endpoint has taken them; otherwise they are put off."""
        events = [event for load in loads for event in load.events]
        if events:
            try:
                async with asyncio.timeout(SEND_S):
                    await self._sender.send(events)
            except (SendFailed, TimeoutError) as error:
                await self._put_off(loads, str(error) or "timeout")
                return False
            self._events.delivered(len(events))
            self._note(is_failing=False)
        return True

    async def _finish(self, loads: Iterable[Load]) -> None:
        """Record what was taken, together with what others have sent while the record before was written."""
        self._taken += loads
        async with self._finishing:
            loads, self._taken = self._taken, []
            if not loads:
                return
            extra_ids = [id_ for load in loads for id_ in load.extra_ids]
            await self._outbox.finish([(load.head, load.seq, load.is_all) for load in loads], extra_ids)
        if lost := sum(load.lost for load in loads):
            self._events.lost(lost)
            fields = {"endpoint": self._endpoint, "events": lost}
            logger.warning("webhook_events_lost", extra={"fields": fields})

    async def _put_off(self, loads: Sequence[Load], reason: str) -> None:
        self._events.failed(reason)
        self._note(is_failing=True, reason=reason)
        given_up = [load for load in loads if len(loads) == 1 and self._is_given_up(load.head)]
        for load in given_up:
            await self._outbox.bury(self._endpoint, load.head, load.logged, load.extra_ids, reason)
            # Dead letters are kept, and an operator may have replayed them already.
            await self._finish([replace(load, extra_ids=())])
            self._events.given_up(len(load.events))
            fields = {"endpoint": self._endpoint, "stream": load.head.stream, "events": len(load.events)}
            logger.error("webhook_given_up", extra={"fields": fields})
        kept = [load.head for load in loads if load not in given_up]
        delays = [(head, full_jitter(head.attempts + FIRST_DELAY, MAX_DELAY_S)) for head in kept]
        await self._outbox.put_off(delays, reason)

    def _is_given_up(self, head: Head) -> bool:
        if self._give_up_s is None or head.failing_since is None:
            return False
        return time.time() - head.failing_since / 1000 > self._give_up_s

    def _note(self, *, is_failing: bool, reason: str = "") -> None:
        """Log when the endpoint begins to fail and when it recovers, not every failure."""
        if is_failing != self._is_failing:
            self._is_failing = is_failing
            fields = {"endpoint": self._endpoint, "reason": reason}
            logger.warning("webhook_failing" if is_failing else "webhook_recovered", extra={"fields": fields})


def _has_left_some(loads: Sequence[Load]) -> bool:
    """Whether more may wait than a round has taken."""
    return len(loads) >= HEADS or not all(load.is_all for load in loads)


def _count_events(loads: Sequence[Load]) -> int:
    return sum(len(load.events) for load in loads)


def _packed(loads: Iterable[Load]) -> Iterable[list[Load]]:
    """Groups of loads with at most MAX_EVENTS events together."""
    batch: list[Load] = []
    size = 0
    for load in loads:
        if batch and size + len(load.events) > MAX_EVENTS:
            yield batch
            batch, size = [], 0
        batch.append(load)
        size += len(load.events)
    if batch:
        yield batch
