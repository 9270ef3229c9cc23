"""What this node itself knows about the chats that are open here: events out are read from memory where it can."""

from collections.abc import Sequence
from typing import Final

from gateway.delivery.hub import Hub
from gateway.delivery.replay_cache import ReplayCache
from gateway.delivery.subscription import NO_USER, Subscription
from storage.records import ChatEvent, EventKind

MAX_EVENTS: Final = 400
"""Events that one call returns: two pages of the cache."""
_NONE: Final[Sequence[ChatEvent]] = ()


class OpenChats:
    """A chat is open while it has a subscription on this node."""

    def __init__(self, hub: Hub, pages: ReplayCache) -> None:
        self._hub = hub
        self._pages = pages

    def new_messages(self, chat_id: int, first: int, last: int, epoch: str) -> Sequence[ChatEvent]:
        """The events of these seqs, if all of them are in memory and new messages; otherwise none.

        With the `last` of a chat they are in their present state: a message is changed by a later event only.
        """
        local = self._hub.chat(chat_id)
        if local is None or local.epoch != epoch or last - first >= MAX_EVENTS:
            return _NONE
        events = self._pages.held(chat_id, first, last)
        for event in events:
            if event.kind is not EventKind.MESSAGE:
                return _NONE
        return events

    def connected(self, chat_id: int) -> dict[int, int]:
        """The users with a seat on this node, each with the Unix second of the seat on Redis' clock."""
        local = self._hub.chat(chat_id)
        since: dict[int, int] = {}
        for subscriber in () if local is None else local.live:
            if isinstance(subscriber, Subscription) and (user_id := subscriber.user_id) != NO_USER:
                claim = subscriber.claim
                if claim is not None and not claim.is_unsettled:
                    second = claim.us // 1_000_000
                    since[user_id] = min(second, since.get(user_id, second))
        return since
