"""The use cases of one node: enter a chat, publish, type, read, leave.

Keeps invariants 1 and 4: a message is committed before it is delivered or acknowledged; a session joins the live stream
only at its exact position. Redis only speeds up delivery; the database is the truth.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from msgspec import Struct

from gateway.delivery.hub import Hub, LocalChat
from gateway.delivery.repair import Repair
from gateway.delivery.replay_cache import ReplayCache
from gateway.delivery.resume import Resume
from gateway.delivery.subscription import Subscription, SubscriptionRegistry
from gateway.errors import RedisUnavailable
from gateway.interfaces.broker import Broker
from gateway.interfaces.chat_log import ChatLog
from gateway.interfaces.membership import Memberships
from gateway.interfaces.presence import Presence, Seat
from gateway.interfaces.rate_limits import WINDOW_S, Admitted, OnAdmission, RateLimited, RateLimits
from gateway.interfaces.session import Recipient
from gateway.node.evictions import Evictions
from gateway.node.leave_queue import LeaveQueue
from gateway.node.presence_publisher import PresencePublisher
from gateway.node.read_positions import ReadPositions
from gateway.node.user_feed import UserFeed
from gateway.protocol import publications
from gateway.protocol.claim import Claim
from gateway.protocol.ids import Since
from gateway.protocol.publications import Publication, Takeover
from gateway.protocol.pushes import MessagesRead, Typing
from gateway.protocol.validation import may_be_retry
from gateway.tasks import Tasks, settle
from storage.errors import StorageUnavailable
from storage.records import ChatEvent, ChatPosition, Committed, EventKind, NewEvent, OnOutcome, Outcome, Person, Refusal

logger = logging.getLogger("gateway.node")

OnVerdict = Callable[[Admitted | RateLimited | Refusal], None]
"""Called with the decision on an event; with Refusal.UNAVAILABLE if the store was needed for it and did not answer."""

LARGE_CHAT = 50
"""A chat with more users present gets no join, leave, typing and read receipt pushes (docs/protocol.md, "Limits")."""


class Node:
    """The operations that sessions and the HTTP API use."""

    def __init__(
        self,
        *,
        node_id: str,
        hub: Hub,
        subscriptions: SubscriptionRegistry,
        broker: Broker,
        presence: Presence,
        presence_publisher: PresencePublisher,
        leave_queue: LeaveQueue,
        limits: RateLimits,
        edit_limits: RateLimits,
        reaction_limits: RateLimits,
        log: ChatLog,
        pages: ReplayCache,
        membership: Memberships,
        repair: Repair,
        evictions: Evictions,
        feed: UserFeed,
        read_positions: ReadPositions,
        tasks: Tasks,
    ) -> None:
        self.node_id = node_id
        self._log = log
        self._membership = membership
        self._presence = presence
        self._presence_publisher = presence_publisher
        self._leave_queue = leave_queue
        self._tasks = tasks
        self._hub = hub
        self._subscriptions = subscriptions
        self._broker = broker
        self._limits = limits
        self._edit_limits = edit_limits
        self._reaction_limits = reaction_limits
        self._repair = repair
        self._evictions = evictions
        self._feed = feed
        self._read_positions = read_positions
        self._resume = Resume(hub, pages, repair)
        self._stored: list[ChatEvent] = []
        """Events stored in this turn of the event loop, not yet logged."""
        self._opening: dict[int, asyncio.Task[None]] = {}

    @property
    def epoch(self) -> str:
        """The database's epoch, as last seen by this node."""
        return self._repair.epoch

    # --- entering and leaving

    async def enter(self, seat: Seat, *, reject_second: bool = False) -> Claim | None:
        """Take a seat in the chat across all nodes. Return its claim, or None if it is held or the chat is full.

        Of two exclusive seats the newer wins: older ones are closed with 4409 on every node.
        """
        try:
            entered = await self._presence.enter(seat, reject_second=reject_second)
        except RedisUnavailable:
            entered, claim = None, Claim.unsettled()
        else:
            if entered is None:
                return None
            claim = entered.claim
        if seat.exclusive:
            self._evictions.replace(Takeover(seat.chat_id, seat.user_id, claim, seat.connection_id))
        if entered is not None:
            self._presence_publisher.entered(seat, entered, is_takeover=bool(entered.displaced))
        return claim

    async def approach(self, chat_id: int) -> LocalChat:
        """Open the chat for a user who is about to enter; returns once Redis has confirmed the subscription.

        It may be late (`Broker.subscribe`). What is read of the chat from now on may `start` it; `register` or
        `retreat` must follow.
        """
        local, _ = self._hub.open(chat_id)
        if not local.reorder_buffer.is_started:
            try:
                await self._broker.subscribe(chat_id)
            except BaseException:
                self.retreat(local)
                raise
        return local

    def start(self, local: LocalChat, position: ChatPosition | None, epoch: str) -> None:
        """Set the position of a chat that has none yet; it was read after the subscription to the chat.

        The reorder buffer holds what is published in between (delivery.md 5).
        """
        if local.reorder_buffer.is_started:
            return
        local.version = position.version if position else 0
        local.first_seq = position.first_seq if position else 1
        self._hub.start(local, position.last_seq if position else 0, epoch)
        self._repair.schedule(local)

    def retreat(self, local: LocalChat) -> None:
        """Undo an `approach`: the user does not enter."""
        if self._hub.give_up(local):
            self._broker.unsubscribe(local.chat_id)

    def register(
        self, session: Recipient, seat: Seat, claim: Claim, *, local: LocalChat | None = None, is_reader: bool = False
    ) -> Subscription:
        """Subscribe the session: from here on it can be displaced or removed. The caller must call `leave`.

        `local` is the chat that was approached, if it was.
        """
        subscription = Subscription(session, local or self._local(seat.chat_id), seat, claim)
        subscription.is_reader = is_reader
        self._subscriptions.add(subscription)
        return subscription

    def visit(self, session: Recipient, chat_id: int) -> Subscription:
        """Subscribe the session to a public chat without a seat. The caller must call `leave`."""
        subscription = Subscription(session, self._local(chat_id), None, None)
        self._subscriptions.add(subscription)  # so that it ends with the chat
        return subscription

    def _local(self, chat_id: int) -> LocalChat:
        local, is_first = self._hub.open(chat_id)
        if is_first:
            self._opening[chat_id] = self._tasks.spawn(self._open(local), "open chat")
        return local

    async def _open(self, local: LocalChat) -> None:
        """Subscribe, then read the position."""
        try:
            await self._broker.subscribe(local.chat_id)
            positions = await self._log.positions([local.chat_id])
            self.start(local, positions.chats.get(local.chat_id), positions.epoch)
        except StorageUnavailable:
            logger.warning("open_failed", extra={"fields": {"chat_id": local.chat_id}})
        finally:
            if self._opening.get(local.chat_id) is asyncio.current_task():
                del self._opening[local.chat_id]

    def begin(self, subscription: Subscription, since: Since | None, epoch: str) -> bool:
        """Greet the session and make it live, if nothing must be read for it; False: `go_live` must follow."""
        return self._resume.begin(subscription, since, epoch, self.node_id)

    async def go_live(self, subscription: Subscription, since: Since | None, epoch: str) -> None:
        """Greet the session, replay the events it missed, and make it live, without a gap or a duplicate.

        Raises: StorageUnavailable.
        """
        opening = self._opening.get(subscription.chat_id)
        if opening is not None:
            await asyncio.shield(opening)
        if not subscription.local.reorder_buffer.is_started:
            raise StorageUnavailable("the chat's position could not be read")
        await self._resume.run(subscription, since, epoch, self.node_id)

    def leave(self, subscription: Subscription, *, at_once: bool) -> None:
        """Unsubscribe the session; unless `at_once`, its user stays present for LINGER_S or longer."""
        if not subscription.end():
            return
        self._subscriptions.remove(subscription)
        local = subscription.local
        is_empty = self._hub.leave(local, subscription) if subscription.is_live else self._hub.give_up(local)
        if is_empty:
            self._broker.unsubscribe(local.chat_id)
        subscription.release()
        if subscription.seat is None:
            return
        if at_once:
            self._leave_queue.leave(subscription.seat)
        else:
            self._leave_queue.linger(subscription.seat)

    # --- publishing

    def admit(self, event: NewEvent, on_admission: OnVerdict) -> None:
        """Count an event against its sender's rate limit: of messages, of edits and deletions, or of reactions.

        A retry of a stored event is always admitted, since it stores nothing. `on_admission` is called within this call
        if nothing is counted.
        """
        on_decision: OnAdmission = on_admission
        if may_be_retry(event.client_msg_id):
            on_decision = partial(self._admit_if_retry, event, on_admission)
        self._limits_of(event).decide(event.sender.id, _entry(event), on_decision)

    def _admit_if_retry(self, event: NewEvent, on_admission: OnVerdict, decision: Admitted | RateLimited) -> None:
        if isinstance(decision, RateLimited):
            self._tasks.spawn(self._admit_retry(event, decision, on_admission), "admission")
        else:
            on_admission(decision)

    async def _admit_retry(self, event: NewEvent, decision: RateLimited, on_admission: OnVerdict) -> None:
        try:
            stored = await self._log.find(event.chat_id, event.sender.id, event.client_msg_id)
        except StorageUnavailable:
            on_admission(Refusal.UNAVAILABLE)
        except Exception:  # a defect must not leave a session, or a request, that waits without end
            on_admission(Refusal.UNAVAILABLE)
            raise
        else:
            on_admission(decision if stored is None else Admitted(is_new=False))

    def _limits_of(self, event: NewEvent) -> RateLimits:
        match event.kind:
            case EventKind.MESSAGE:
                return self._limits
            case EventKind.REACTION:
                return self._reaction_limits
            case EventKind.EDIT | EventKind.DELETE:
                return self._edit_limits

    def submit(
        self, event: NewEvent, done: OnOutcome, *, admitted: Admitted | None = None, by: Subscription | None = None
    ) -> None:
        """Store an event and deliver it; `done` is called with the outcome after delivery on this node.

        A client's event must have been admitted; if it is not stored, it is no longer counted against the rate limit.
        `by` is the subscription of the sending socket, whose dialect may not echo the event.
        """
        if by is not None:
            by.sends(event.client_msg_id)

        self._log.submit(event, _SubmittedEvent(self, event, done, admitted, by))

    def settle(self, submitted: "_SubmittedEvent", outcome: Outcome) -> None:
        """Deliver and publish what was stored, then report the outcome."""
        event, admitted = submitted.event, submitted.admitted
        is_stored = isinstance(outcome, Committed) and not outcome.duplicate
        if admitted is not None and admitted.is_new and not _counts_against_limit(outcome):
            self._limits_of(event).forget(event.sender.id, _entry(event))
        if isinstance(outcome, Committed):
            if is_stored:
                self._note_stored(outcome.event)
            if is_stored or not self._has_delivered(outcome.event):
                self._serve(outcome.event)  # a duplicate too: its node may have died before delivery
        if submitted.by is not None:
            submitted.by.settles(event.client_msg_id, outcome)
        submitted.done(outcome)

    def _note_stored(self, event: ChatEvent) -> None:
        """Log all events of this turn in one line: a line per message would be a fifth of the cost of a message."""
        if not self._stored:
            asyncio.get_running_loop().call_soon(self._log_stored)
        self._stored.append(event)

    def _log_stored(self) -> None:
        stored, self._stored = self._stored, []
        logger.info("messages_stored", extra={"fields": {"messages": [_log_fields(event) for event in stored]}})

    async def post(self, event: NewEvent, *, is_limited: bool = True) -> Outcome | RateLimited:
        """Store an event that came over HTTP or a queue, and deliver it; it counts only if `is_limited`."""
        loop = asyncio.get_running_loop()
        admitted: Admitted | None = None
        if is_limited:
            admission: asyncio.Future[Admitted | RateLimited | Refusal] = loop.create_future()
            self.admit(event, partial(settle, admission))
            decision = await admission
            if not isinstance(decision, Admitted):
                return decision
            admitted = decision
        future: asyncio.Future[Outcome] = loop.create_future()
        self.submit(event, partial(settle, future), admitted=admitted)
        return await future

    async def post_all(self, events: Sequence[NewEvent]) -> list[Outcome]:
        """Store many events at once, and deliver them; those of a chat in this order. They count against no limit."""
        futures: list[asyncio.Future[Outcome]] = [asyncio.get_running_loop().create_future() for _ in events]
        for event, future in zip(events, futures, strict=True):
            self.submit(event, partial(settle, future))
        return await asyncio.gather(*futures)

    def _has_delivered(self, event: ChatEvent) -> bool:
        local = self._hub.chat(event.chat_id)
        return local is not None and event.seq <= local.reorder_buffer.last_seq

    def _serve(self, event: ChatEvent) -> None:
        """Deliver a committed event on this node and publish it; its echo from Redis is dropped by seq."""
        local = self._hub.chat(event.chat_id)
        if local is not None:
            self._hub.deliver(local, [event])
            self._repair.schedule(local)
        self._publish(event)
        self._feed.on_stored(event.chat_id, event.seq)

    def _publish(self, publication: Publication) -> None:
        self._broker.publish(publication.chat_id, publications.encode(publication))

    # --- actions that store no event

    def publish_typing(self, chat_id: int, person: Person, is_typing: bool) -> None:
        """Publish that the person started or stopped typing; ignored in a large chat."""
        if not self._is_large(chat_id):
            self._publish(Typing(chat_id, person, is_typing))

    async def mark_read(self, chat_id: int, person: Person, seq: int, connection_id: str) -> None:
        """Move the person's read position forward; if it moved, others and the person's other sockets are notified.

        `connection_id` is that of the reading socket; `seq` must exist in the chat. Raises: StorageUnavailable.
        """
        position = await self._membership.mark_read(chat_id, person.id, seq)
        if position is not None:
            self.read_moved(chat_id, person, position, connection_id)

    def read_moved(
        self, chat_id: int, person: Person, seq: int, connection_id: str, *, is_backwards: bool = False
    ) -> None:
        """Notify the person's other sockets of a new read position, and others of one that is not `is_backwards`."""
        self._read_positions.on_read(chat_id, person.id, seq, connection_id)
        if not is_backwards and not self._is_large(chat_id):
            self._publish(MessagesRead(chat_id, person, seq))

    def _is_large(self, chat_id: int) -> bool:
        local = self._hub.chat(chat_id)
        return local is not None and local.present_count > LARGE_CHAT


class _SubmittedEvent(Struct, frozen=True, gc=False, eq=False):
    """Receives the outcome of an event. In the place of a closure, whose cells the garbage collector looks at."""

    node: Node
    event: NewEvent
    done: OnOutcome
    admitted: Admitted | None
    by: Subscription | None

    def __call__(self, outcome: Outcome) -> None:
        self.node.settle(self, outcome)


def _entry(event: NewEvent) -> str:
    """The rate limiter's key of a message; a retry has the same key."""
    return f"{event.chat_id}:{event.client_msg_id}"


def _counts_against_limit(outcome: Outcome) -> bool:
    """Whether the message was stored within the window: now, or by an earlier try whose outcome was unknown."""
    if not isinstance(outcome, Committed):
        return False
    return not outcome.duplicate or datetime.now(UTC) - outcome.event.created_at < timedelta(seconds=WINDOW_S)


def _log_fields(event: ChatEvent) -> dict[str, object]:
    """The log fields of a stored event: its ids, never its text."""
    message_id, user_id, kind = event.message_id, event.actor.id, event.kind
    return {"chat_id": event.chat_id, "seq": event.seq, "message_id": message_id, "user_id": user_id, "kind": kind}
