"""Pages of a chat's log for whoever asks for them: from memory where it reaches, and never larger than an outbox.

Invariant: a page holds at most about PAGE_BYTES of JSON, or a single event; so a page may be shorter than it was asked
for, and only an empty one says that there is nothing more.
"""

from collections.abc import Sequence

from gateway.chat_log import ChatLog
from gateway.hub import Hub
from gateway.messages import message_object
from gateway.pages import Pages
from gateway.wire import to_json
from storage.records import ChatEvent

PAGE_BYTES = 512 * 1024
"""Half of an outbox (200 texts of 1,000 control characters would be 1.2 MB: JSON spells each by six bytes)."""
_CHARACTER_BYTES = 6
_EVENT_BYTES = 1_000
"""What an event has at most beside its text."""


class History:
    """Reads of the chats' logs by sessions."""

    def __init__(self, hub: Hub, log: ChatLog, pages: Pages) -> None:
        self._hub = hub
        self._log = log
        self._pages = pages

    async def after(self, chat_id: int, seq: int, limit: int, last_seq: int) -> Sequence[ChatEvent]:
        """At most `limit` events beyond `seq`, ascending, without a hole, as far as `last_seq` at least.

        The store is not asked for what this node remembers: such a page comes while the database is down, too.
        Raises: StorageUnavailable.
        """
        events: list[ChatEvent] = []
        while len(events) < limit:
            local = self._hub.chat(chat_id)
            if local is None or not local.timeline.is_started:  # nothing may be kept of what is not followed here
                events += await self._log.events_after(chat_id, seq, limit - len(events))
                break
            if seq >= last_seq:
                break
            found = await self._pages.events_after(chat_id, seq)
            if not found:
                break
            events += found
            seq = found[-1].seq
        return first_within(events[:limit])

    async def before(self, chat_id: int, seq: int | None, limit: int) -> Sequence[ChatEvent]:
        """The last messages created below `seq` (None: the newest), at most `limit`, ascending.

        Raises: StorageUnavailable.
        """
        return last_within(await self._log.messages_before(chat_id, seq, limit))


def first_within(events: Sequence[ChatEvent], max_bytes: int = PAGE_BYTES) -> Sequence[ChatEvent]:
    """As many of the first as `max_bytes` of JSON hold, but one at least."""
    if sum(_CHARACTER_BYTES * len(event.text) + _EVENT_BYTES for event in events) <= max_bytes:
        return events  # as nearly always, and without encoding anything
    size = 0
    for count, event in enumerate(events):
        size += len(to_json(message_object(event))) + 1
        if size > max_bytes and count:
            return events[:count]
    return events


def last_within(events: Sequence[ChatEvent], max_bytes: int = PAGE_BYTES) -> Sequence[ChatEvent]:
    """As many of the last."""
    return first_within(events[::-1], max_bytes)[::-1]
