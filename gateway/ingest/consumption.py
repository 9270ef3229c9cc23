"""Out of the durable queue, into the store (`docs/queue.md`).

Invariants: a message is acknowledged only when it is committed, or when the broker has confirmed its dead letter;
messages are handed to the store in the order of their delivery; an outage of the store never counts against a message;
at most PREFETCH messages are here at a time.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from gateway.backoff import full_jitter
from gateway.errors import QueueUnavailable
from gateway.ingest.directory import Directory
from gateway.ingest.inbound import Reason, read_message
from gateway.ingest.letters import dead_letter
from gateway.ingest.link import DEAD_QUEUE, QUEUE, queue_trouble
from gateway.ingest.publisher import Publisher
from gateway.room_store import Store
from gateway.rooms import RoomMessage
from storage.errors import StorageUnavailable
from storage.records import Committed, Outcome, Refusal

PREFETCH = 200
"""As many as the store commits at once."""
TRIES = 5
MAX_PAUSE_S = 5.0
"""Between two attempts while the store is away, and between two tries of one message."""
FINISH_S = 5.0
"""On leaving, for what is under way."""

logger = logging.getLogger("gateway.ingest")


@dataclass(frozen=True, slots=True)
class Desk:
    """What a consumer works with. `on_settled` hears what became of each message: stored, duplicate, or a Reason."""

    node_id: str
    directory: Directory
    store: Store
    publisher: Publisher
    max_text_length: int
    on_settled: Callable[[str], None]


@dataclass(slots=True)
class _Delivery:
    """A message that is to be stored. `tries` failed through its own fault, the last when `stored` others were."""

    raw: AbstractIncomingMessage
    message: RoomMessage
    attempts: int = 0
    tries: int = 0
    stored: int = 0


class Consumption:
    """One connection's messages, from delivery to acknowledgement. `run` ends with the connection.

    What it still holds then comes again from the broker; what the store commits later is a duplicate by then.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: list[tuple[int, _Delivery]] = []  # a heap by delivery tag
        self._stirred = asyncio.Event()
        self._in_flight = 0  # handed to the store and not answered
        self._pauses = 0  # in a row, since the store last took a message
        self._is_paused = False
        self._stored = 0
        self._settled: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        self._dead: asyncio.Queue[tuple[AbstractIncomingMessage, Reason]] = asyncio.Queue()
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
                    queue = await channel.get_queue(QUEUE, ensure=False)
                    tag = await queue.consume(self._take, arguments={"x-priority": _seniority()})
                self._subscription = queue, tag
        finally:
            self._subscription = None
            self.unacked = 0
            self._idle.set()

    async def finish(self) -> None:
        """Take no more, and return when all that was taken is acknowledged. Never raises."""
        if self._subscription is None:
            return
        queue, tag = self._subscription
        try:
            with queue_trouble():
                async with asyncio.timeout(FINISH_S):
                    await queue.cancel(tag)
                    await self._idle.wait()
        except QueueUnavailable as error:
            # the broker gives what is left to others
            logger.warning("queue_unfinished", extra={"fields": {"unacked": self.unacked, "error": str(error)}})

    # --- taking

    async def _take(self, raw: AbstractIncomingMessage) -> None:
        self.unacked += 1
        self._idle.clear()
        read = read_message(raw.body, raw.message_id, self._desk.max_text_length)
        if isinstance(read, Reason):
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
        """After an outage the oldest message goes alone, until the store takes one: none may overtake it."""
        return not self._is_paused and (self._pauses == 0 or self._in_flight == 0)

    async def _store(self, delivery: _Delivery) -> None:
        try:
            chat_id = await self._desk.directory.chat_id(delivery.message.room)
        except StorageUnavailable:
            self._on_outcome(delivery, Refusal.UNAVAILABLE)
        except Exception:  # whatever it is, it must not stop the others
            logger.exception("queue_room_failed")
            self._on_outcome(delivery, Refusal.NOT_STORABLE)
        else:
            if self._is_paused:  # meanwhile one before it failed, and may be of the same room
                self._on_outcome(delivery, Refusal.UNAVAILABLE)
            else:
                self._desk.store.submit(delivery.message.event(chat_id), partial(self._on_outcome, delivery))

    def _on_outcome(self, delivery: _Delivery, outcome: Outcome) -> None:
        """Called by the store, for one room in the order of submission."""
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
            case Refusal.ID_REUSED:
                self._dead.put_nowait((delivery.raw, Reason.ID_REUSED))
            case _:
                self._try_again(delivery)

    def _try_again(self, delivery: _Delivery) -> None:
        """The store cannot take it; that counts if it took another since the last time, so that it is not the store."""
        self._desk.directory.forget(delivery.message.room)
        delivery.attempts += 1
        if delivery.attempts == 1 or self._stored > delivery.stored:
            delivery.tries += 1
            delivery.stored = self._stored
        if delivery.tries == TRIES:
            self._dead.put_nowait((delivery.raw, Reason.NOT_STORED))
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
        """One at a time: two may have the same message_id (see `Publisher.publish`)."""
        while True:
            raw, reason = await self._dead.get()
            letter = dead_letter(raw, reason, self._desk.node_id)
            attempt = 0
            while True:
                try:
                    await self._desk.publisher.publish(DEAD_QUEUE, letter)
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
    """Of several nodes, the one that came first gets all that it has room for, and the next one only the rest.

    So the order of a room is kept by one node; two that take turns would lose it. Other programs' consumers have 0.
    """
    return (1 << 53) - time.time_ns() // 1000
