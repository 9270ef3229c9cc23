"""Fan-out inside this process: chat → local subscribers.

Keeps invariants 2 and 3: `broadcast` is synchronous and never awaits a client; a push is encoded once per dialect and
framed once, and all pushes of one chat in one turn of the event loop leave in one write per socket. A chat with more
than `sweep.STEP` subscribers is written in slices of SLICE_S; what is broadcast meanwhile follows in the next sweep, so
that its order on every socket is that of the broadcasts.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol

from gateway.delivery.reorder_buffer import ReorderBuffer
from gateway.delivery.sweep import STEP, CallSweep, FrameSweep, Sweep
from gateway.dialects.base import Dialect, EchoPolicy
from gateway.protocol.frames import FrameSink, text_frame, write_to_all
from gateway.protocol.pushes import ChatChanged, Push
from gateway.turns import Turns
from storage.records import ChatEvent

SLICE_S: Final = 0.002
"""How long the sweeps of all chats together may take in a turn of the event loop."""
PAUSE: Final = 4
"""Turns of the loop between two slices; they cost an idle node 2 %, and halve what a message of another chat waits."""
MAX_BEHIND: Final = 1024 * 1024
"""Bytes of a chat that may wait for its sweeps; beyond them it is written at once, however many subscribers it has."""

logger = logging.getLogger("gateway.hub")


class HubMember(Protocol):
    """A session's subscription to a chat, as the hub uses it."""

    @property
    def dialect(self) -> Dialect:
        """The JSON format of this subscriber."""
        ...

    @property
    def user_id(self) -> int:
        """The subscriber's user: typing, read and presence pushes skip their author."""
        ...

    def consume_echo(self, event: ChatEvent) -> bool:
        """Whether to skip an event by its own user, in a dialect without full echo; called once per event."""
        ...

    @property
    def outlet(self) -> FrameSink:
        """The sink of its frames while it is live; a sink that cannot accept frames closes its client."""
        ...

    def reset(self, last_seq: int, epoch: str) -> None:
        """Invalidate its positions: another epoch has begun, in which the last seq of the chat is `last_seq`."""
        ...

    def truncate(self, first_seq: int) -> None:
        """Notify it that events below `first_seq` were removed before it received them."""
        ...


class _Audience:
    """A chat's live subscribers of one dialect, in the order of joining, each with its outlet."""

    __slots__ = ("dialect", "joins", "outlets")

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.outlets: dict[HubMember, FrameSink] = {}
        self.joins = 0
        """How many have joined so far."""


class LocalChat:
    """One chat with subscribers on this node."""

    __slots__ = (
        "audiences",
        "change",
        "chat_id",
        "epoch",
        "first_seq",
        "members_version",
        "pending",
        "present_count",
        "reorder_buffer",
        "sweeps",
        "version",
        "waiting",
    )

    def __init__(self, chat_id: int) -> None:
        self.chat_id = chat_id
        self.reorder_buffer = ReorderBuffer()
        self.epoch = ""
        """The epoch of the reorder buffer's position."""
        self.first_seq = 1
        """The seq of the first event that retention has left, as far as this node knows."""
        self.version = 0
        """The version of the chat's details that subscribers know: that of the opening, or of the last push."""
        self.members_version = 0
        """The version of its members that subscribers were compared with last; 0 before the first time."""
        self.change: ChatChanged | None = None
        """The last push of the chat's details."""
        self.audiences: dict[str, _Audience] = {}
        """The live subscribers, by the name of their dialect."""
        self.waiting = 0
        """Number of subscriptions that are registered but not live yet."""
        self.present_count = 0
        """Users connected on all nodes, according to the last presence push."""
        self.pending: list[tuple[Push, int | None]] = []
        """Pushes of this turn of the event loop, each with the user to skip."""
        self.sweeps: deque[Sweep] = deque()
        """What is still to be written, in this order."""

    @property
    def live(self) -> list[HubMember]:
        """A snapshot of all live subscribers."""
        return [subscriber for audience in self.audiences.values() for subscriber in audience.outlets]

    @property
    def is_needed(self) -> bool:
        """Whether the chat has a local subscription, live or not."""
        return bool(self.audiences) or self.waiting > 0


class Hub:
    """The chats with local subscribers, and the only way to push to them.

    `on_flush(pushes, deliveries, size)` is called after each flush of a chat (for metrics), with the size in bytes.
    `on_event` is called with each stored event on delivery, in seq order per chat; `on_forget` with the id of a chat
    whose cached events must be dropped; `on_behind` when a chat has reached MAX_BEHIND.
    """

    def __init__(
        self,
        on_flush: Callable[[Sequence[Push], int, int], None] = lambda *_: None,
        *,
        on_event: Callable[[ChatEvent], None] = lambda _: None,
        on_forget: Callable[[int], None] = lambda _: None,
        on_behind: Callable[[], None] = lambda: None,
    ) -> None:
        self._chats: dict[int, LocalChat] = {}
        self._dirty: list[LocalChat] = []
        self._on_flush = on_flush
        self._on_event = on_event
        self._on_forget = on_forget
        self._on_behind = on_behind
        self._turns: Turns[LocalChat] = Turns(self._continue, SLICE_S, pause=PAUSE)

    def chat(self, chat_id: int) -> LocalChat | None:
        """The chat, or None if it has no local subscription."""
        return self._chats.get(chat_id)

    def chats(self) -> Iterator[LocalChat]:
        """A snapshot of all chats with local subscriptions."""
        return iter(list(self._chats.values()))

    def __len__(self) -> int:
        return len(self._chats)

    def open(self, chat_id: int) -> tuple[LocalChat, bool]:
        """Register a subscription that is not live yet; True if it is the first. `join` or `give_up` must follow."""
        local = self._chats.get(chat_id)
        is_first = local is None
        if local is None:
            local = self._chats[chat_id] = LocalChat(chat_id)
        local.waiting += 1
        return local, is_first

    def join(self, local: LocalChat, subscriber: HubMember) -> None:
        """Make a registered subscription live: it receives only what is broadcast from now on."""
        self._flush_chat(local)
        local.waiting -= 1
        dialect = subscriber.dialect
        audience = local.audiences.get(dialect.name)
        if audience is None:
            audience = local.audiences[dialect.name] = _Audience(dialect)
        audience.outlets[subscriber] = subscriber.outlet
        audience.joins += 1

    def give_up(self, local: LocalChat) -> bool:
        """Undo an `open` without a `join`; True if it was the last local subscription, and the chat is forgotten."""
        local.waiting -= 1
        return self._forget_if_unneeded(local)

    def leave(self, local: LocalChat, subscriber: HubMember) -> bool:
        """End a live subscription; True if it was the last local one, and the chat is forgotten."""
        name = subscriber.dialect.name
        audience = local.audiences.get(name)
        if audience is not None:
            outlet = audience.outlets.pop(subscriber, None)
            if outlet is not None:
                for sweep in local.sweeps:
                    sweep.leave_out(outlet)
            if not audience.outlets:
                del local.audiences[name]
        return self._forget_if_unneeded(local)

    def _forget_if_unneeded(self, local: LocalChat) -> bool:
        if local.is_needed:
            return False
        if self._chats.pop(local.chat_id, None) is not None:
            self._on_forget(local.chat_id)
        return True

    def deliver(self, local: LocalChat, events: Iterable[ChatEvent]) -> None:
        """Deliver stored events through the chat's reorder buffer: each once, in seq order."""
        self._broadcast_all(local, local.reorder_buffer.add(events))

    def start(self, local: LocalChat, last_seq: int, epoch: str) -> None:
        """Set the chat's position in this epoch, and deliver the held events that directly follow it."""
        local.epoch = epoch
        self._broadcast_all(local, local.reorder_buffer.start(last_seq))

    def restart(self, local: LocalChat, last_seq: int, epoch: str) -> None:
        """Another epoch has begun: continue from its `last_seq`, and reset every live subscriber."""
        local.epoch = epoch
        local.reorder_buffer.restart(last_seq)
        self._on_forget(local.chat_id)
        self._flush_chat(local)
        self._call_all(local, lambda subscriber: subscriber.reset(last_seq, epoch))

    def trim(self, local: LocalChat, first_seq: int) -> None:
        """Retention has removed the events below `first_seq`: drop what is cached of the chat."""
        if first_seq > local.first_seq:
            local.first_seq = first_seq
            # All of it, since later events show the state of removed messages.
            self._on_forget(local.chat_id)

    def skip(self, local: LocalChat, first_seq: int) -> None:
        """Continue with the event of `first_seq`: retention has removed those before it, which were not delivered."""
        due = local.reorder_buffer.start(first_seq - 1)
        self._flush_chat(local)
        self._call_all(local, lambda subscriber: subscriber.truncate(first_seq))
        self._broadcast_all(local, due)

    def _broadcast_all(self, local: LocalChat, events: Iterable[ChatEvent]) -> None:
        is_known = self._chats.get(local.chat_id) is local  # False if a repair ends after the last subscriber left
        for event in events:
            if is_known:
                self._on_event(event)
            self.broadcast(local, event)

    def broadcast(self, local: LocalChat, push: Push, *, skip_user: int | None = None) -> None:
        """Push to every live subscriber, except those of `skip_user`, at the end of this turn of the event loop."""
        if not local.pending:
            if not self._dirty:
                asyncio.get_running_loop().call_soon(self._flush)
            self._dirty.append(local)
        local.pending.append((push, skip_user))

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for local in dirty:
            try:
                self._flush_chat(local)
            except Exception:
                # An exception in one chat must not prevent the flush of the others.
                logger.exception("broadcast_failed", extra={"fields": {"chat_id": local.chat_id}})

    def _flush_chat(self, local: LocalChat) -> None:
        pending, local.pending = local.pending, []
        if not pending or not local.audiences:
            return
        pushes = [push for push, _ in pending]
        deliveries = size = 0
        for audience in list(local.audiences.values()):
            batch = _FlushBatch(audience.dialect, pending)
            if not batch.all:
                continue
            if local.sweeps or len(audience.outlets) > STEP:
                self._sweep(local, batch.sweep_of(audience, pushes))
                pushes = []  # reported at the end of this sweep
                continue
            subscriber_count, byte_count = batch.push_to(audience)
            deliveries += subscriber_count * len(pending)
            size += byte_count
        if pushes or deliveries:
            self._on_flush(pushes, deliveries, size)

    def _call_all(self, local: LocalChat, call: Callable[[HubMember], None]) -> None:
        """Call this with every live subscriber, after what it is still to be sent."""
        if local.audiences:
            self._sweep(local, CallSweep({subscriber.outlet: subscriber for subscriber in local.live}, call))

    def _sweep(self, local: LocalChat, sweep: Sweep) -> None:
        """Begin a sweep at once, and continue it while this turn has time; the rest, or all, follows in later turns."""
        sweeps = local.sweeps
        if sweeps:
            last = sweeps[-1]
            if not (isinstance(sweep, FrameSweep) and isinstance(last, FrameSweep) and last.absorb(sweep)):
                sweeps.append(sweep)
            if sum(sweep.waiting_bytes for sweep in sweeps) > MAX_BEHIND:
                self._on_behind()
                while sweeps:
                    self._step(local)
            return
        sweeps.append(sweep)
        self._step(local)
        while sweeps and self._turns.has_time():
            self._step(local)
        if sweeps:
            self._turns.add(local)

    def _continue(self, local: LocalChat) -> None:
        if local.sweeps:
            self._step(local)
        if local.sweeps:
            self._turns.add(local)

    def _step(self, local: LocalChat) -> None:
        sweep = local.sweeps[0]
        try:
            has_ended = sweep.step()
        except Exception:
            # It must not stop the chat: the sweep goes on with the next step.
            logger.exception("broadcast_failed", extra={"fields": {"chat_id": local.chat_id}})
            return
        if has_ended:
            local.sweeps.popleft()
            if isinstance(sweep, FrameSweep):
                self._on_flush(sweep.pushes, sweep.reached * sweep.total, sweep.size)


class _FlushBatch:
    """The pushes of one flush in one dialect, framed and joined once. Only sockets of `authors` may skip some."""

    __slots__ = ("_frames", "all", "authors")

    def __init__(self, dialect: Dialect, pending: list[tuple[Push, int | None]]) -> None:
        is_echoed = dialect.echo is EchoPolicy.ALL
        self._frames: list[tuple[bytes, Push, int | None]] = []
        for push, skip_user in pending:
            payload = dialect.push(push)
            if payload is not None:
                author_id = push.actor.id if isinstance(push, ChatEvent) and not is_echoed else skip_user
                self._frames.append((text_frame(payload), push, author_id))
        self.all = b"".join([frame for frame, _, _ in self._frames])
        self.authors = {author_id for _, _, author_id in self._frames if author_id is not None}

    def push_to(self, audience: _Audience) -> tuple[int, int]:
        """Write the frames to all subscribers, without those an author skips; return how many subscribers and bytes."""
        frames, authors = self.all, self.authors
        if not authors:
            written = write_to_all(list(audience.outlets.values()), frames)
            return written, written * len(frames)
        written = size = 0
        others: list[FrameSink] = []
        for subscriber, outlet in list(audience.outlets.items()):
            if subscriber.user_id not in authors:
                others.append(outlet)
            elif (own := self._without_skipped(subscriber)) and write_to_all((outlet,), own):
                written += 1
                size += len(own)
        reached = write_to_all(others, frames)
        return written + reached, size + reached * len(frames)

    def sweep_of(self, audience: _Audience, pushes: Sequence[Push]) -> FrameSweep:
        """The sweep that writes the frames; `pushes` are those to report at its end.

        What authors skip is decided now: their sessions know their own events for this turn only.
        """
        own = {
            outlet: self._without_skipped(subscriber)
            for subscriber, outlet in (audience.outlets.items() if self.authors else ())
            if subscriber.user_id in self.authors
        }
        outlets, total = list(audience.outlets.values()), len(self._frames)
        return FrameSweep(outlets, self.all, own, pushes, total=total, joins=audience.joins)

    def _without_skipped(self, subscriber: HubMember) -> bytes:
        user_id = subscriber.user_id
        return b"".join(
            [
                frame
                for frame, push, author_id in self._frames
                if author_id != user_id or (isinstance(push, ChatEvent) and not subscriber.consume_echo(push))
            ]
        )
