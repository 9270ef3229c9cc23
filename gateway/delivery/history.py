"""Pages of a chat's log: read from memory where it reaches far enough, and never larger than a send queue.

Invariant: a page holds at most about PAGE_BYTES of JSON, or a single event. So a page may be shorter than the requested
limit; only an empty page means that there are no more events.
"""

from collections.abc import Sequence

from gateway.delivery.hub import Hub
from gateway.delivery.replay_cache import ReplayCache
from gateway.dialects.chat import message_object
from gateway.interfaces.chat_log import ChatLog
from gateway.protocol.message_data import MAX_DATA_BYTES
from httpapi.bounded_json import to_json
from storage.reaction_records import NO_REACTIONS, OwnReactions
from storage.records import ChatEvent

PAGE_BYTES = 512 * 1024
"""Half of a send queue (200 texts of 1,000 control characters would be 1.2 MB: JSON escapes each as six bytes)."""
_CHARACTER_BYTES = 6
_EVENT_BYTES = 1_000
"""Upper bound of an event's JSON without its content."""
_REACTIONS_BYTES = 6_000
"""The same of reactions: counts of now and at the event, of 20 keys with 4 bytes a character each."""
_REPLIED_TO_BYTES = 120 * _CHARACTER_BYTES + 600
_MENTION_BYTES = 20
"""The same of the message to which it replies, and of a mention."""


class History:
    """The one reader of pages, for sessions and for the HTTP API."""

    def __init__(self, hub: Hub, log: ChatLog, pages: ReplayCache) -> None:
        self._hub = hub
        self._log = log
        self._pages = pages

    async def after(
        self, chat_id: int, seq: int, limit: int, last_seq: int, epoch: str | None = None
    ) -> Sequence[ChatEvent]:
        """At most `limit` events after `seq`, ascending, without a hole, up to `last_seq` at least.

        Events that this node has in memory are not read from the store, so that such a page works while the database
        is down. A caller that read `last_seq` from the store gives its `epoch`: after a restore, memory may still hold
        another history.
        Raises: StorageUnavailable.
        """
        events: list[ChatEvent] = []
        while len(events) < limit:
            local = self._hub.chat(chat_id)
            if local is None or not local.reorder_buffer.is_started or epoch not in (None, local.epoch):
                # The cache keeps only chats whose events arrive at this node.
                events += await self._log.events_after(chat_id, seq, limit - len(events))
                break
            if seq >= last_seq:
                break
            page = await self._pages.events_after(chat_id, seq)
            if not page:
                break
            events += page
            seq = page[-1].seq
        return first_within(events[:limit])

    async def before(self, chat_id: int, seq: int | None, limit: int) -> Sequence[ChatEvent]:
        """The last messages created below `seq` (None: the newest), at most `limit`, ascending.

        Raises: StorageUnavailable.
        """
        return last_within(await self._log.messages_before(chat_id, seq, limit))

    async def replies(self, chat_id: int, target_id: int, seq: int | None, limit: int) -> Sequence[ChatEvent]:
        """The same of the replies to one message.

        Raises: StorageUnavailable.
        """
        return last_within(await self._log.replies_before(chat_id, target_id, seq, limit))

    async def own_reactions(self, user_id: int | None, events: Sequence[ChatEvent]) -> OwnReactions:
        """The user's reactions to the messages of a page; the store is read only if some of them have reactions.

        Raises: StorageUnavailable.
        """
        reacted = {event.message_id for event in events if event.reactions is not None}
        if user_id is None or not reacted:
            return NO_REACTIONS
        return await self._log.own_reactions(user_id, list(reacted))


def first_within(events: Sequence[ChatEvent], max_bytes: int = PAGE_BYTES) -> Sequence[ChatEvent]:
    """The longest prefix whose JSON is at most `max_bytes` long, but at least one event."""
    if sum(map(_most_bytes, events)) <= max_bytes:
        return events  # the common case; nothing is encoded
    size = 0
    for count, event in enumerate(events):
        size += len(to_json(message_object(event))) + 1
        if size > max_bytes and count:
            return events[:count]
    return events


def _most_bytes(event: ChatEvent) -> int:
    """An upper bound of the event's JSON."""
    data = 0 if event.data is None else MAX_DATA_BYTES
    reactions = 0 if event.reactions is None and event.reaction is None else _REACTIONS_BYTES
    references = 0 if event.reply_to is None else _REPLIED_TO_BYTES
    references += _MENTION_BYTES * len(event.mentions)
    return _CHARACTER_BYTES * len(event.text) + data + reactions + references + _EVENT_BYTES


def last_within(events: Sequence[ChatEvent], max_bytes: int = PAGE_BYTES) -> Sequence[ChatEvent]:
    """The longest suffix whose JSON is at most `max_bytes` long, but at least one event."""
    return first_within(events[::-1], max_bytes)[::-1]
