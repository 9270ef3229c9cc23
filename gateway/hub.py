"""Fan-out inside this process: chat → local subscribers.

Keeps invariants 2 and 3: `broadcast` is synchronous and never awaits a client; a push is encoded once per dialect and
framed once, and all that came for a chat in one turn of the loop leaves in one write per socket.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from gateway.dialects.base import Dialect, Echo
from gateway.frames import text_frame
from gateway.messages import Push
from gateway.outlet import Outlet, write_to_all
from gateway.timeline import Timeline
from storage.records import ChatEvent

logger = logging.getLogger("gateway.hub")


class Subscriber(Protocol):
    """What the hub sees of a session's interest in a chat."""

    @property
    def dialect(self) -> Dialect:
        """How this subscriber is spoken to."""
        ...

    @property
    def user_id(self) -> int:
        """Whose subscription it is: typing, read marks and presence skip their author."""
        ...

    def skips(self, event: ChatEvent) -> bool:
        """Whether an event by its own user is not for it, in a dialect without full echo; asked once an event."""
        ...

    @property
    def outlet(self) -> Outlet:
        """Where frames for it go out, for as long as it is live. Who cannot take them closes itself."""
        ...

    def reset(self, last_seq: int, epoch: str) -> None:
        """Its positions are of another history: the chat now stands at `last_seq`."""
        ...


class _Audience:
    """A chat's live subscribers of one dialect, in order of arrival, each with its outlet."""

    __slots__ = ("dialect", "outlets")

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.outlets: dict[Subscriber, Outlet] = {}


class LocalChat:
    """One chat with subscribers on this node."""

    __slots__ = ("audiences", "chat_id", "epoch", "pending", "present_count", "timeline", "waiting")

    def __init__(self, chat_id: int) -> None:
        self.chat_id = chat_id
        self.timeline = Timeline()
        self.epoch = ""
        """Which history the timeline is of."""
        self.audiences: dict[str, _Audience] = {}
        """Those at the timeline's position, by the name of their dialect."""
        self.waiting = 0
        """Subscriptions that are registered but still paging towards it."""
        self.present_count = 0
        """Users connected over all nodes, as far as the last presence push said."""
        self.pending: list[tuple[Push, int | None]] = []
        """Pushes of this turn of the loop, each with the user it skips."""

    @property
    def live(self) -> list[Subscriber]:
        """All of those, as of now."""
        return [subscriber for audience in self.audiences.values() for subscriber in audience.outlets]

    @property
    def is_needed(self) -> bool:
        """Whether anyone local is in the chat."""
        return bool(self.audiences) or self.waiting > 0


class Hub:
    """The chats with local subscribers, and the one way to reach them.

    `on_flush(pushes, deliveries, size)` is told of each chat's flush (for metrics): sizes in bytes. `on_event` hears
    each stored event as it is delivered, in its chat's order; `on_forget`, of a chat whose events are to be forgotten.
    """

    def __init__(
        self,
        on_flush: Callable[[Sequence[Push], int, int], None] = lambda *_: None,
        *,
        on_event: Callable[[ChatEvent], None] = lambda _: None,
        on_forget: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._chats: dict[int, LocalChat] = {}
        self._dirty: list[LocalChat] = []
        self._on_flush = on_flush
        self._on_event = on_event
        self._on_forget = on_forget

    def chat(self, chat_id: int) -> LocalChat | None:
        """The chat, if anyone local is in it."""
        return self._chats.get(chat_id)

    def chats(self) -> Iterator[LocalChat]:
        """Every chat with local subscribers, as of now."""
        return iter(list(self._chats.values()))

    def __len__(self) -> int:
        return len(self._chats)

    def open(self, chat_id: int) -> tuple[LocalChat, bool]:
        """Register a coming subscription; True if it is the first. The caller owes a `join` or `give_up`."""
        local = self._chats.get(chat_id)
        is_first = local is None
        if local is None:
            local = self._chats[chat_id] = LocalChat(chat_id)
        local.waiting += 1
        return local, is_first

    def join(self, local: LocalChat, subscriber: Subscriber) -> None:
        """Make a registered subscription live: it gets what is broadcast from now on, and nothing from before."""
        self._flush_chat(local)
        local.waiting -= 1
        dialect = subscriber.dialect
        audience = local.audiences.get(dialect.name)
        if audience is None:
            audience = local.audiences[dialect.name] = _Audience(dialect)
        audience.outlets[subscriber] = subscriber.outlet

    def give_up(self, local: LocalChat) -> bool:
        """Take back an `open` that will not join; True if nobody local is left, and the chat is forgotten."""
        local.waiting -= 1
        return self._forget_if_unneeded(local)

    def leave(self, local: LocalChat, subscriber: Subscriber) -> bool:
        """End a live subscription; True if nobody local is left, and the chat is forgotten."""
        name = subscriber.dialect.name
        audience = local.audiences.get(name)
        if audience is not None:
            audience.outlets.pop(subscriber, None)
            if not audience.outlets:
                del local.audiences[name]
        return self._forget_if_unneeded(local)

    def _forget_if_unneeded(self, local: LocalChat) -> bool:
        if local.is_needed:
            return False
        if self._chats.pop(local.chat_id, None) is not None:
            self._on_forget(local.chat_id)
        return True

    def feed(self, local: LocalChat, events: Iterable[ChatEvent]) -> None:
        """Deliver stored events through the chat's timeline: each once, in order, none before its turn."""
        self._deliver(local, local.timeline.add(events))

    def start(self, local: LocalChat, last_seq: int, epoch: str) -> None:
        """Fix the timeline's position in this history, and deliver what arrived meanwhile and comes after it."""
        local.epoch = epoch
        self._deliver(local, local.timeline.start(last_seq))

    def restart(self, local: LocalChat, last_seq: int, epoch: str) -> None:
        """Another history has begun: go on from its `last_seq`, and tell every live subscriber to reload."""
        local.epoch = epoch
        local.timeline.restart(last_seq)
        self._on_forget(local.chat_id)
        self._flush_chat(local)
        for subscriber in local.live:
            subscriber.reset(last_seq, epoch)

    def _deliver(self, local: LocalChat, events: Iterable[ChatEvent]) -> None:
        is_known = self._chats.get(local.chat_id) is local  # a repair may be late for a chat that everybody has left
        for event in events:
            if is_known:
                self._on_event(event)
            self.broadcast(local, event)

    def broadcast(self, local: LocalChat, push: Push, *, skip_user: int | None = None) -> None:
        """Push to every live subscriber at the end of this turn of the loop, but not to `skip_user`'s."""
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
                # One chat's defect must not cost the others of this turn their messages.
                logger.exception("broadcast_failed", extra={"fields": {"chat_id": local.chat_id}})

    def _flush_chat(self, local: LocalChat) -> None:
        pending, local.pending = local.pending, []
        if not pending or not local.audiences:
            return
        deliveries = size = 0
        for audience in list(local.audiences.values()):
            batch = _Batch(audience.dialect, pending)
            taken, sent = batch.push_to(audience)
            deliveries += taken * len(pending)
            size += sent
        self._on_flush([push for push, _ in pending], deliveries, size)


class _Batch:
    """The pushes of one flush in one dialect: framed once, joined once. Only sockets of `authors` may skip some."""

    __slots__ = ("_frames", "all", "authors")

    def __init__(self, dialect: Dialect, pending: list[tuple[Push, int | None]]) -> None:
        is_echoed = dialect.echo is Echo.ALL
        self._frames: list[tuple[bytes, Push, int | None]] = []
        for push, skip_user in pending:
            payload = dialect.push(push)
            if payload is not None:
                author_id = push.sender.id if isinstance(push, ChatEvent) and not is_echoed else skip_user
                self._frames.append((text_frame(payload), push, author_id))
        self.all = b"".join([frame for frame, _, _ in self._frames])
        self.authors = {author_id for _, _, author_id in self._frames if author_id is not None}

    def push_to(self, audience: _Audience) -> tuple[int, int]:
        """Give everyone all frames but those that an author skips; how many took them, and how many bytes."""
        frames, authors = self.all, self.authors
        taken = size = 0
        if not authors:
            if frames:
                taken = write_to_all(list(audience.outlets.values()), frames)
            return taken, taken * len(frames)
        others: list[Outlet] = []
        for subscriber, outlet in list(audience.outlets.items()):
            if subscriber.user_id not in authors:
                others.append(outlet)
            elif (own := self._without_skipped(subscriber)) and write_to_all((outlet,), own):
                taken += 1
                size += len(own)
        if frames:
            reached = write_to_all(others, frames)
            taken, size = taken + reached, size + reached * len(frames)
        return taken, size

    def _without_skipped(self, subscriber: Subscriber) -> bytes:
        user_id = subscriber.user_id
        return b"".join(
            [
                frame
                for frame, push, author_id in self._frames
                if author_id != user_id or (isinstance(push, ChatEvent) and not subscriber.skips(push))
            ]
        )
