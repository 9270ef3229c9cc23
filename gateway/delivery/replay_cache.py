"""Recent stored events of the chats that are open on this node, from which many clients can resume at once.

A chat's log is split into pages of PAGE events, by seq. A page is filled with the events that are delivered here and,
where they do not reach back far enough, by one read of the store, which concurrent callers share. Each event is framed
once per dialect, however many clients it is replayed to.

Retention removes the beginning of a log, so that a page may begin late, or be empty while later ones are not.

Invariants: the events of a page are contiguous and in their present state as far as this node knows. An edit or a
deletion changes every page that holds its message, including pages that are being read, so that a deleted text is not
replayed. A change costs next to nothing until the page is requested again, since edits are not rate limited. A chat
without local subscriptions has no pages, since its edits would be missed. All pages together take at most `max_bytes`;
the least recently used are dropped first.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from gateway.dialects.base import Dialect
from gateway.interfaces.chat_log import ChatLog
from gateway.protocol.frames import text_frame
from gateway.tasks import Tasks
from storage.errors import StorageUnavailable
from storage.records import ChatEvent, EventKind

PAGE = 200
MAX_BYTES = 64 * 1024 * 1024
EVENT_BYTES = 500
FRAME_BYTES = 45
ID_BYTES = 40
"""Memory of an event without its content, a frame without its bytes, and a mention (measured with tracemalloc)."""
REACTION_BYTES = 300
_CHARACTER_BYTES = 4
"""Memory of an event's reaction without its counts, and of a character of counts with an emoji."""

_PageKey = tuple[int, int]  # (chat_id, page number)
OnPage = Callable[[str], None]
"""Called with the source of a page: "memory" or "store"."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Contiguous events, and the frame of each: b"" where the dialect does not push it."""

    events: Sequence[ChatEvent]
    frames: Sequence[bytes]


class _Page:
    """Contiguous events of one chat, ascending, with their frames."""

    __slots__ = ("_changes", "_events", "_frames", "_message_ids", "_sender_ids", "_target_ids", "size")

    def __init__(self, events: Sequence[ChatEvent]) -> None:
        self._events: list[ChatEvent] = []
        self.size = 0
        self._message_ids: set[int] = set()
        self._target_ids: set[int] = set()
        """The messages to which those of the page reply."""
        self._sender_ids: set[int] = set()
        self._changes: dict[int, ChatEvent] = {}
        """By message: the last change that is not applied to `_events` and `_frames` yet."""
        self._frames: dict[str, list[bytes]] = {}
        for event in events:
            self.append(event)

    @property
    def next_seq(self) -> int:
        """The seq that follows the last event; 0 if the page is empty."""
        return self._events[-1].seq + 1 if self._events else 0

    def reaches(self, seq: int) -> bool:
        """Whether the page contains the event of this seq."""
        return bool(self._events) and self._events[0].seq <= seq < self.next_seq

    def append(self, event: ChatEvent) -> None:
        """Add the next event; for an edit or deletion, `rewrite` must have been called before."""
        self._events.append(event)
        self._message_ids.add(event.message_id)
        self._sender_ids.add(event.sender.id)
        if event.by is not None:
            self._sender_ids.add(event.by.id)
        if event.reply_to is not None:
            self._target_ids.add(event.reply_to.id)
            if event.reply_to.sender is not None:
                self._sender_ids.add(event.reply_to.sender.id)
        self.size += _size(event)

    def has_sender(self, user_ids: Collection[int]) -> bool:
        """Whether one of these users has sent one of the events, or what one replies to."""
        return not self._sender_ids.isdisjoint(user_ids)

    def rewrite(self, change: ChatEvent) -> None:
        """Record the new state of the changed message, if the page contains it, or replies to it."""
        if change.message_id in self._message_ids or change.message_id in self._target_ids:
            self._changes[change.message_id] = change

    def _settle(self) -> None:
        if self._changes:
            changes, self._changes = self._changes, {}
            self._events = [_in_new_state(event, changes) for event in self._events]
            self._frames = {}
            self.size = sum(map(_size, self._events))

    def after(self, seq: int, dialect: Dialect) -> Replay:
        """The events after `seq`, with frames in this dialect."""
        self._settle()
        frames = self._frames.setdefault(dialect.name, [])
        for event in self._events[len(frames) :]:
            payload = dialect.push(event)
            frames.append(b"" if payload is None else text_frame(payload))
            self.size += FRAME_BYTES + len(frames[-1])
        events = self.beyond(seq)
        return Replay(events, frames[len(frames) - len(events) :])

    def beyond(self, seq: int) -> list[ChatEvent]:
        """The events after `seq`."""
        self._settle()
        start = max(0, seq + 1 - self._events[0].seq) if self._events else 0
        return self._events[start:]

    def between(self, first: int, last: int) -> list[ChatEvent]:
        """The events from `first`, which the page reaches, to `last` or the end of the page."""
        self._settle()
        start = self._events[0].seq
        return self._events[first - start : last + 1 - start]


class _Reading:
    """A running read of the store; its page is not kept if the chat is forgotten meanwhile (`is_stale`)."""

    __slots__ = ("changes", "error", "first_beyond", "is_stale", "page", "task")

    def __init__(self) -> None:
        self.task: asyncio.Task[None]
        self.page = _Page([])
        self.error = "the read was cut off"  # unless it ends otherwise; it may be cancelled before its first step
        self.is_stale = False
        self.first_beyond = 0
        """The seq of the first event behind the page, if the store has none of the page's own any more; or 0."""
        self.changes: dict[int, ChatEvent] = {}
        """By message: the last change delivered during the read, which the result may lack."""


class ReplayCache:
    """The pages of all chats that are open here. `on_page` is called with the source of each requested page."""

    def __init__(
        self, log: ChatLog, tasks: Tasks, *, max_bytes: int = MAX_BYTES, on_page: OnPage = lambda _: None
    ) -> None:
        self._log = log
        self._tasks = tasks
        self._max_bytes = max_bytes
        self._on_page = on_page
        self._pages: OrderedDict[_PageKey, _Page] = OrderedDict()
        self._keys: dict[int, set[_PageKey]] = {}
        """By chat: the keys of its pages."""
        self._readings: dict[_PageKey, _Reading] = {}
        self.size = 0
        """Approximate bytes of all pages."""

    async def after(self, chat_id: int, seq: int, dialect: Dialect) -> Replay:
        """At most PAGE events after `seq`, with frames, ascending, without a hole; none if the store has none.

        Raises: StorageUnavailable.
        """
        key, page = await self._page(chat_id, seq)
        before = page.size
        replay = page.after(seq, dialect)
        self._update_size(key, page, before)
        return replay

    async def events_after(self, chat_id: int, seq: int) -> Sequence[ChatEvent]:
        """At most PAGE events after `seq`, like `after`, but without frames.

        Raises: StorageUnavailable.
        """
        key, page = await self._page(chat_id, seq)
        before = page.size
        events = page.beyond(seq)
        self._update_size(key, page, before)
        return events

    def held(self, chat_id: int, first: int, last: int) -> Sequence[ChatEvent]:
        """The events from `first` to `last`, if all of them are in memory; otherwise none."""
        found: list[ChatEvent] = []
        seq = first
        while seq <= last:
            page = self._pages.get((chat_id, (seq - 1) // PAGE))
            if page is None or not page.reaches(seq):
                return []
            found += page.between(seq, last)
            seq = found[-1].seq + 1
        return found

    def _update_size(self, key: _PageKey, page: _Page, before: int) -> None:
        if self._pages.get(key) is page:
            self._grow(page.size - before)

    async def _page(self, chat_id: int, seq: int) -> tuple[_PageKey, _Page]:
        """The page with the first event after `seq`."""
        while True:
            key = chat_id, seq // PAGE
            page = self._pages.get(key)
            if page is not None and page.reaches(seq + 1):
                self._on_page("memory")
                self._pages.move_to_end(key)
                return key, page
            self._on_page("store")
            reading = await self._read(key, seq + 1)
            if not reading.first_beyond:
                return key, reading.page
            seq = reading.first_beyond - 1

    async def _read(self, key: _PageKey, seq: int) -> _Reading:
        while True:
            reading = self._readings.get(key)
            is_joined = reading is not None
            if reading is None:
                reading = self._readings[key] = _Reading()
                reading.task = self._tasks.spawn(self._fill(key, reading), "read page")
            await asyncio.wait([reading.task])  # cancelling one caller does not cancel the shared read
            if reading.error:
                raise StorageUnavailable(reading.error)
            # A read that another caller started may be older than the requested event.
            if not is_joined or reading.page.reaches(seq) or reading.first_beyond:
                return reading

    async def _fill(self, key: _PageKey, reading: _Reading) -> None:
        chat_id, number = key
        try:
            events = await self._log.events_after(chat_id, number * PAGE, PAGE)
            own = [event for event in events if event.seq <= (number + 1) * PAGE]
            reading.page = _Page(own)
            reading.first_beyond = events[0].seq if events and not own else 0
            reading.error = ""
        except StorageUnavailable as error:
            reading.error = str(error)
        finally:
            del self._readings[key]
        for change in reading.changes.values():
            reading.page.rewrite(change)
        if reading.is_stale or not reading.page.next_seq:
            return
        if (delivered := self._pages.get(key)) is not None:
            for event in delivered.beyond(0):
                if event.seq == reading.page.next_seq:
                    reading.page.append(event)
        self._put(key, reading.page)

    def add(self, event: ChatEvent) -> None:
        """Add a delivered event, the next one of its chat."""
        if event.kind is not EventKind.MESSAGE:
            self._rewrite(event)
        key = event.chat_id, (event.seq - 1) // PAGE
        page = self._pages.get(key)
        if page is None or event.seq > page.next_seq:
            self._put(key, _Page([event]))
        elif event.seq == page.next_seq:
            before = page.size
            page.append(event)
            self._pages.move_to_end(key)
            self._grow(page.size - before)

    def forget(self, chat_id: int) -> None:
        """Drop the pages of a chat that has no local subscription any more, or another epoch."""
        for key in list(self._keys.get(chat_id, ())):
            self._drop(key)
        for key, reading in self._readings.items():
            reading.is_stale |= key[0] == chat_id

    def forget_senders(self, user_ids: Collection[int]) -> None:
        """Drop the pages with events of these users, whose names have changed."""
        for key in [key for key, page in self._pages.items() if page.has_sender(user_ids)]:
            self._drop(key)
        for reading in self._readings.values():  # it may have read the old names
            reading.is_stale = True

    def _rewrite(self, change: ChatEvent) -> None:
        for key in self._keys.get(change.chat_id, ()):
            self._pages[key].rewrite(change)
        for key, reading in self._readings.items():
            if key[0] == change.chat_id:
                reading.changes[change.message_id] = change

    def _put(self, key: _PageKey, page: _Page) -> None:
        if key in self._pages:
            self._drop(key)
        self._pages[key] = page
        self._keys.setdefault(key[0], set()).add(key)
        self._grow(page.size)

    def _drop(self, key: _PageKey) -> None:
        self.size -= self._pages.pop(key).size
        keys = self._keys[key[0]]
        keys.discard(key)
        if not keys:
            del self._keys[key[0]]

    def _grow(self, size: int) -> None:
        self.size += size
        while self.size > self._max_bytes:
            self._drop(next(iter(self._pages)))


def _size(event: ChatEvent) -> int:
    size = EVENT_BYTES + len(event.text) + (0 if event.data is None else len(event.data))
    if event.reply_to is not None:
        size += EVENT_BYTES + len(event.reply_to.text)
    if event.reactions is not None:
        size += _CHARACTER_BYTES * len(event.reactions)
    if event.reaction is not None:
        size += REACTION_BYTES + _CHARACTER_BYTES * len(event.reaction.counts)
    return size + ID_BYTES * len(event.mentions)


def _in_new_state(event: ChatEvent, changes: Mapping[int, ChatEvent]) -> ChatEvent:
    if (target := event.reply_to) is not None and target.text:
        target_change = changes.get(target.id)
        if target_change is not None and target_change.is_deleted:
            event = replace(event, reply_to=replace(target, text=""))
    change = changes.get(event.message_id)
    # The stored state may be newer than this change; a deletion is final.
    if change is None or event.is_deleted:
        return event
    return replace(
        event,
        text=change.text,
        data=change.data,
        mentions=change.mentions,
        is_edited=change.is_edited,
        is_deleted=change.is_deleted,
        reactions=change.reactions,
    )
