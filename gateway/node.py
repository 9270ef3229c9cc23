"""The use cases of one node: enter a chat, publish, type, read, leave.

Keeps invariants 1 and 4: a message is in the database before anyone is told of it; a session joins the live stream only
at its exact position. Redis merely speeds up what the database says.
"""

import asyncio
import logging
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from gateway import publications
from gateway.broker import Broker
from gateway.chat_log import ChatLog
from gateway.departures import Departures
from gateway.errors import RedisUnavailable
from gateway.evictions import Evictions
from gateway.feed import Feed
from gateway.history import History
from gateway.hub import Hub, LocalChat
from gateway.membership import Membership
from gateway.messages import (
    CrowdedOut,
    MemberRemoved,
    MessagesRead,
    PresenceChange,
    Publication,
    RateLimited,
    Takeover,
    Typing,
    may_be_retry,
)
from gateway.pages import Pages
from gateway.presence import Entered, Left, Presence, Seat, unsettled_claim
from gateway.rate_limits import WINDOW_S, Admitted, RateLimits
from gateway.repair import Repair
from gateway.resume import Resume
from gateway.since import Since
from gateway.subscription import Recipient, Roster, Subscription
from gateway.tasks import Tasks
from storage.errors import StorageUnavailable
from storage.records import ChatEvent, Committed, EventKind, NewEvent, OnOutcome, Outcome, Person

logger = logging.getLogger("gateway.node")

LARGE_CHAT = 50
"""Above this many users present there are no join, leave, typing and receipt pushes (protocol.md, seed 004)."""


class Node:
    """What sessions and the HTTP API may do here."""

    def __init__(
        self,
        *,
        node_id: str,
        hub: Hub,
        roster: Roster,
        broker: Broker,
        presence: Presence,
        limits: RateLimits,
        log: ChatLog,
        pages: Pages,
        membership: Membership,
        repair: Repair,
        evictions: Evictions,
        feed: Feed,
        tasks: Tasks,
    ) -> None:
        self.node_id = node_id
        self.log = log
        self.membership = membership
        self.presence = presence
        self.tasks = tasks
        self.history = History(hub, log, pages)
        self._hub = hub
        self._roster = roster
        self._broker = broker
        self._limits = limits
        self._repair = repair
        self._evictions = evictions
        self._feed = feed
        self._resume = Resume(hub, pages, repair)
        self.departures = Departures(presence, self._on_left)
        self._stored: list[ChatEvent] = []
        """What this turn of the loop has stored, for the log."""
        self._opening: dict[int, asyncio.Task[None]] = {}

    @property
    def epoch(self) -> str:
        """Which history this is, as far as this node has heard."""
        return self._repair.epoch

    # --- entering and leaving

    async def take_seat(self, seat: Seat, *, reject_second: bool = False) -> int | None:
        """Take a place in the chat over all nodes; its claim, or None if another holds it or the chat is full.

        Of exclusive seats the newer wins: older ones are closed with 4409 wherever they are.
        """
        try:
            entered = await self.presence.enter(seat, reject_second=reject_second)
        except RedisUnavailable:
            entered, claim = None, unsettled_claim()
        else:
            if entered is None:
                return None
            claim = entered.claim
        if seat.exclusive:
            self._evictions.replace(Takeover(seat.chat_id, seat.user_id, claim, seat.connection_id))
        if entered is not None:
            self.announce(seat, entered, is_takeover=bool(entered.displaced))
        return claim

    def announce(self, seat: Seat, entered: Entered, *, is_takeover: bool) -> None:
        """Tell every node that the seat is taken, as far as that is news, and who has lost theirs by it."""
        self._roster.settle(seat, entered.claim)
        if is_takeover:
            self._publish(Takeover(seat.chat_id, seat.user_id, entered.claim, seat.connection_id))
        for user_id, claim in entered.crowded_out:
            crowded = CrowdedOut(seat.chat_id, user_id, claim)
            self._evictions.crowd_out(crowded)
            self._publish(crowded)
        if entered.first:
            self._publish(PresenceChange(seat.chat_id, seat.user_id, seat.username, "join", entered.count))

    def register(self, session: Recipient, seat: Seat, claim: int) -> Subscription:
        """Put the session into the chat: from here on it can be displaced or removed; it owes a `leave`."""
        subscription = Subscription(session, self._local(seat.chat_id), seat, claim)
        self._roster.add(subscription)
        return subscription

    def visit(self, session: Recipient, chat_id: int) -> Subscription:
        """Let the session see a public chat without a seat in it; it owes a `leave`."""
        return Subscription(session, self._local(chat_id), None, 0)

    def _local(self, chat_id: int) -> LocalChat:
        local, is_first = self._hub.open(chat_id)
        if is_first:
            self._opening[chat_id] = self.tasks.spawn(self._open(local), "open chat")
        return local

    async def _open(self, local: LocalChat) -> None:
        """Subscribe, then read the position: what is published in between is held by the timeline (delivery.md 5)."""
        try:
            await self._broker.subscribe(local.chat_id)
            found = await self.log.positions([local.chat_id])
            position = found.chats.get(local.chat_id)
            self._hub.start(local, position.last_seq if position else 0, found.epoch)
            self._repair.look(local)
        except StorageUnavailable:
            logger.warning("open_failed", extra={"fields": {"chat_id": local.chat_id}})
        finally:
            if self._opening.get(local.chat_id) is asyncio.current_task():
                del self._opening[local.chat_id]

    async def go_live(self, subscription: Subscription, since: Since | None, epoch: str) -> None:
        """Greet the session, replay what it missed, and make it live, without a gap or a duplicate.

        Raises: StorageUnavailable.
        """
        opening = self._opening.get(subscription.chat_id)
        if opening is not None:
            await asyncio.shield(opening)
        if not subscription.local.timeline.is_started:
            raise StorageUnavailable("the chat's position could not be read")
        await self._resume.run(subscription, since, epoch, self.node_id)

    def leave(self, subscription: Subscription, *, at_once: bool) -> None:
        """Take the session out of the chat; unless `at_once`, its user counts as present a little longer."""
        if not subscription.end():
            return
        self._roster.remove(subscription)
        local = subscription.local
        is_empty = self._hub.leave(local, subscription) if subscription.is_live else self._hub.give_up(local)
        if is_empty:
            self._broker.unsubscribe(local.chat_id)
        if subscription.seat is None:
            return
        if at_once:
            self.departures.leave(subscription.seat)
        else:
            self.departures.linger(subscription.seat)

    def free_seat(self, seat: Seat) -> None:
        """Give back a seat for which no session was registered."""
        self.departures.leave(seat)

    def _on_left(self, seat: Seat, left: Left) -> None:
        if left.last:
            self._publish(PresenceChange(seat.chat_id, seat.user_id, seat.username, "leave", left.count))

    # --- publishing

    async def admit(self, event: NewEvent) -> Admitted | RateLimited:
        """Count a message against its sender's minute.

        A retry of a stored message is always admitted: it stores nothing. Raises: StorageUnavailable.
        """
        verdict = await self._limits.admit(event.sender.id, _entry(event))
        if isinstance(verdict, RateLimited) and may_be_retry(event.client_msg_id):
            stored = await self.log.find(event.chat_id, event.sender.id, event.client_msg_id)
            if stored is not None:
                return Admitted(is_new=False)
        return verdict

    def submit(
        self, event: NewEvent, done: OnOutcome, *, admitted: Admitted | None = None, by: Subscription | None = None
    ) -> None:
        """Store an event and tell everyone; `done` hears the outcome after all of this node has.

        A message must have been admitted; what turns out not to be stored gives its place in the minute back. `by` is
        the socket that sends it, which may not want it back.
        """
        if by is not None:
            by.sends(event.client_msg_id)

        def on_outcome(outcome: Outcome) -> None:
            is_stored = isinstance(outcome, Committed) and not outcome.duplicate
            if admitted is not None and admitted.is_new and not _takes_a_place(outcome):
                self._limits.forget(event.sender.id, _entry(event))
            if isinstance(outcome, Committed):
                if is_stored:
                    self._note_stored(outcome.event)
                if is_stored or not self._has_delivered(outcome.event):
                    self._serve(outcome.event)  # a duplicate too: whoever stored it may have died before it told anyone
            if by is not None:
                by.settles(event.client_msg_id, outcome)
            done(outcome)

        self.log.submit(event, on_outcome)

    def _note_stored(self, event: ChatEvent) -> None:
        """Log it with all that is stored in this turn: a line a message would be a fifth of what a message costs."""
        if not self._stored:
            asyncio.get_running_loop().call_soon(self._log_stored)
        self._stored.append(event)

    def _log_stored(self) -> None:
        stored, self._stored = self._stored, []
        logger.info("messages_stored", extra={"fields": {"messages": [_log_fields(event) for event in stored]}})

    async def post(self, event: NewEvent) -> Outcome | RateLimited:
        """Store an event that came over HTTP or a queue, and tell everyone.

        Raises: StorageUnavailable.
        """
        admitted = await self.admit(event) if event.kind is EventKind.MESSAGE else None
        if isinstance(admitted, RateLimited):
            return admitted
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def done(outcome: Outcome) -> None:
            if not future.done():
                future.set_result(outcome)

        self.submit(event, done, admitted=admitted)
        return await future

    def _has_delivered(self, event: ChatEvent) -> bool:
        local = self._hub.chat(event.chat_id)
        return local is not None and event.seq <= local.timeline.last_seq

    def _serve(self, event: ChatEvent) -> None:
        """Deliver a committed event here at once, and publish it; its echo from Redis is dropped by seq."""
        local = self._hub.chat(event.chat_id)
        if local is not None:
            self._hub.feed(local, [event])
            self._repair.look(local)
        self._publish(event)
        self._feed.on_stored(event.chat_id, event.seq)

    def publish_presence(self, change: PresenceChange) -> None:
        """Tell every node what presence found on its own."""
        self._publish(change)

    def _publish(self, publication: Publication) -> None:
        self._broker.publish(publication.chat_id, publications.encode(publication))

    # --- what is not stored as an event

    def publish_typing(self, chat_id: int, person: Person, is_typing: bool) -> None:
        """Tell the others; nobody in a large chat."""
        if not self._is_large(chat_id):
            self._publish(Typing(chat_id, person, is_typing))

    async def mark_read(self, chat_id: int, person: Person, seq: int) -> None:
        """Move the person's read position forward, and tell the others if it moved; `seq` must be in the chat.

        Raises: StorageUnavailable.
        """
        if await self.membership.mark_read(chat_id, person.id, seq) and not self._is_large(chat_id):
            self._publish(MessagesRead(chat_id, person, seq))

    def _is_large(self, chat_id: int) -> bool:
        local = self._hub.chat(chat_id)
        return local is not None and local.present_count > LARGE_CHAT

    def membership_changed(self, chat_id: int, user_id: int, removed: bool) -> None:
        """A user was added to or removed from a chat: on removal every node closes the user's sockets there."""
        self._feed.change_members(chat_id, [user_id], removed=removed)
        if removed:
            self._evictions.remove(chat_id, user_id)
            self._publish(MemberRemoved(chat_id, user_id))

    def chat_created(self, chat_id: int, user_ids: Collection[int]) -> None:
        """There is a new chat with these members."""
        self._feed.change_members(chat_id, user_ids, removed=False)


def _entry(event: NewEvent) -> str:
    """What names a message to the limiter: the same message again is the same entry."""
    return f"{event.chat_id}:{event.client_msg_id}"


def _takes_a_place(outcome: Outcome) -> bool:
    """Whether it was stored in this minute: now, or by a try that gave its place back as nobody knew its outcome."""
    if not isinstance(outcome, Committed):
        return False
    return not outcome.duplicate or datetime.now(UTC) - outcome.event.created_at < timedelta(seconds=WINDOW_S)


def _log_fields(event: ChatEvent) -> dict[str, object]:
    """A stored event in the log: by its ids, never by its text."""
    ids = {"chat_id": event.chat_id, "seq": event.seq, "message_id": event.message_id}
    return ids | {"user_id": event.sender.id, "kind": event.kind}
