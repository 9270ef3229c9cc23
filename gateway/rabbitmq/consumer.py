"""Stores the messages of the durable queue (`docs/queue.md`).

Invariants: a message is acknowledged only when it is committed, or when the broker has confirmed its dead letter;
messages are passed to the store in delivery order; an outage of the store does not count as a failed try of a message;
at most PREFETCH messages are unacknowledged at a time.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from gateway.errors import QueueUnavailable
from gateway.interfaces.rooms import Store
from gateway.rabbitmq.connection import queue_trouble
from gateway.rabbitmq.dead_letters import dead_letter
from gateway.rabbitmq.decoder import DeadLetterReason
from gateway.rabbitmq.intake import Inbound, Intake
from gateway.rabbitmq.names import QueueNames
from gateway.rabbitmq.publisher import QueuePublisher
from gateway.tasks import full_jitter
from storage.errors import StorageUnavailable
from storage.records import Committed, Outcome, Refusal

PREFETCH = 200
"""The maximum of events that the store commits at once."""
TRIES = 5
MAX_PAUSE_S = 5.0
"""The maximum pause between two attempts while the store is unavailable, and between two tries of one message."""
FINISH_S = 5.0
"""How long shutdown waits for unacknowledged messages."""

logger = logging.getLogger("gateway.ingest")


@dataclass(frozen=True, slots=True)
class Desk:
    """A consumer's dependencies. `on_settled` gets each message's outcome: stored, duplicate or a DeadLetterReason."""

    node_id: str
    names: QueueNames
    intake: Intake
    store: Store
    publisher: QueuePublisher
    on_settled: Callable[[str], None]


@dataclass(slots=True)
class _Delivery:
    """A message to store. `tries` counts its own failures; at the last one `stored` messages had been stored."""

    raw: AbstractIncomingMessage
    message: Inbound
    attempts: int = 0
    tries: int = 0
    stored: int = 0


class Consumption:
    """One connection's messages, from delivery to acknowledgement. `run` ends with the connection.

    The broker then redelivers the unacknowledged messages; any that the store commits meanwhile become duplicates.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: list[tuple[int, _Delivery]] = []  # a heap by delivery tag
        self._stirred = asyncio.Event()
        self._in_flight = 0  # passed to the store, without an outcome yet
        self._pauses = 0  # in a row, since the store last took a message
        self._is_paused = False
        self._stored = 0
        self._settled: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        self._dead: asyncio.Queue[tuple[AbstractIncomingMessage, DeadLetterReason]] = asyncio.Queue()
        self.unacked = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._subscription: tuple[AbstractQueue, str] | None = None

    async def run(self, channel: AbstractChannel) -> None:
        """Take messages until the connection ends.

        Raises: QueueUnavailable.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for work in (self._store_all(), self._acknowledge_all(), self._bury_all()):
                    group.create_task(work)
                with queue_trouble():
                    await channel.set_qos(prefetch_count=PREFETCH)
                    queue = await channel.get_queue(self._desk.names.inbound, ensure=False)
                    tag = await queue.consume(self._take, arguments={"x-priority": _seniority()})
                self._subscription = queue, tag
        finally:
            self._subscription = None
            self.unacked = 0
            self._idle.set()

    async def finish(self) -> None:
        """Stop consuming, and return when all received messages are acknowledged. Never raises."""
        if self._subscription is None:
            return
        queue, tag = self._subscription
        try:
            with queue_trouble():
                async with asyncio.timeout(FINISH_S):
                    await queue.cancel(tag)
                    await self._idle.wait()
        except QueueUnavailable as error:
            # the broker redelivers the rest to other consumers
            logger.warning("queue_unfinished", extra={"fields": {"unacked": self.unacked, "error": str(error)}})

    # --- receiving

    async def _take(self, raw: AbstractIncomingMessage) -> None:
        self.unacked += 1
        self._idle.clear()
        read = self._desk.intake.read(raw.body, raw.message_id)
        if isinstance(read, DeadLetterReason):
            self._dead.put_nowait((raw, read))
        else:
            self._put(_Delivery(raw, read))

    def _put(self, delivery: _Delivery) -> None:
        heappush(self._waiting, (delivery.raw.delivery_tag or 0, delivery))
        self._stirred.set()

    # --- storing

    async def _store_all(self) -> None:
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            if self._is_paused:
                await asyncio.sleep(full_jitter(self._pauses, MAX_PAUSE_S))
                self._is_paused = False
            while self._waiting and self._may_store:
                self._in_flight += 1
                await self._store(heappop(self._waiting)[1])

    @property
    def _may_store(self) -> bool:
        """After an outage only the oldest message is submitted until the store accepts one: none may overtake it."""
        return not self._is_paused and (self._pauses == 0 or self._in_flight == 0)

    async def _store(self, delivery: _Delivery) -> None:
        try:
            event = await delivery.message.event()
        except StorageUnavailable:
            self._on_outcome(delivery, Refusal.UNAVAILABLE)
        except Exception:  # a defect must not stop the other messages
            logger.exception("queue_event_failed")
            self._on_outcome(delivery, Refusal.NOT_STORABLE)
        else:
            if isinstance(event, DeadLetterReason):
                self._in_flight -= 1
                self._stirred.set()
                self._dead.put_nowait((delivery.raw, event))
            elif self._is_paused:  # an earlier message, perhaps of the same chat, failed meanwhile
                self._on_outcome(delivery, Refusal.UNAVAILABLE)
            else:
                self._desk.store.submit(event, partial(self._on_outcome, delivery))

    def _on_outcome(self, delivery: _Delivery, outcome: Outcome) -> None:
        """Handle the store's outcome; the store reports one chat's outcomes in the order of submission."""
        self._in_flight -= 1
        self._stirred.set()
        match outcome:
            case Committed():
                self._pauses = 0
                self._stored += not outcome.duplicate
                self._desk.on_settled("duplicate" if outcome.duplicate else "stored")
                self._settled.put_nowait(delivery.raw)
            case Refusal.UNAVAILABLE:
                self._put(delivery)
                self._pauses += not self._is_paused
                self._is_paused = True
            case Refusal() if (reason := delivery.message.reason(outcome)) is not None:
                self._dead.put_nowait((delivery.raw, reason))
            case _:
                self._try_again(delivery)

    def _try_again(self, delivery: _Delivery) -> None:
        """Retry a rejected message; a failure counts only if another message was stored since the last one."""
        delivery.attempts += 1
        if delivery.attempts == 1 or self._stored > delivery.stored:
            delivery.tries += 1
            delivery.stored = self._stored
        if delivery.tries == TRIES:
            self._dead.put_nowait((delivery.raw, DeadLetterReason.NOT_STORED))
        else:
            pause_s = full_jitter(delivery.attempts, MAX_PAUSE_S)
            asyncio.get_running_loop().call_later(pause_s, self._put, delivery)

    # --- settling

    async def _acknowledge_all(self) -> None:
        while True:
            raw = await self._settled.get()
            with queue_trouble():
                await raw.ack()
            self.unacked -= 1
            if self.unacked == 0:
                self._idle.set()

    async def _bury_all(self) -> None:
        """Publish dead letters one at a time, as two may have one message_id (see `QueuePublisher.publish`)."""
        while True:
            raw, reason = await self._dead.get()
            letter = dead_letter(raw, reason, self._desk.names.inbound, self._desk.node_id)
            attempt = 0
            while True:
                try:
                    await self._desk.publisher.publish(self._desk.names.dead, letter)
                    break
                except QueueUnavailable:
                    attempt += 1
                    await asyncio.sleep(full_jitter(attempt, MAX_PAUSE_S))
            logger.warning(
                "queue_message_dead", extra={"fields": {"reason": reason.value, "redelivered": raw.redelivered}}
            )
            self._desk.on_settled(reason.value)
            self._settled.put_nowait(raw)


def _seniority() -> int:
    """The consumer priority: the node that started first receives messages up to its prefetch, the next one the rest.

    So one node keeps the order of a room, which two nodes in turn would lose. Consumers of other programs have 0.
    """
    return (1 << 53) - time.time_ns() // 1000


class Consumer:
    """Consumes messages on each successive connection until `finish`. `serve` is the callback of a `Link`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._consumption: Consumption | None = None
        self._is_finishing = False

    @property
    def unacked(self) -> int:
        """The number of unacknowledged messages."""
        return self._consumption.unacked if self._consumption else 0

    async def serve(self, channel: AbstractChannel) -> None:
        """Take messages until the connection ends.

        Raises: QueueUnavailable.
        """
        if self._is_finishing:
            return
        self._consumption = Consumption(self._desk)
        await self._consumption.run(channel)

    async def finish(self) -> None:
        """Stop consuming for good; returns when all messages are acknowledged, or after FINISH_S."""
        self._is_finishing = True
        if self._consumption is not None:
            await self._consumption.finish()
