"""Pushes changes of chats, their titles, data and rules, to every socket of a member.

Keeps: a push has the state of the store, and a chat's pushes never go back. What changed is announced through Redis;
without it, the position check finds it for every chat with subscribers. Of many changes of a chat in a row only the
last is pushed, so that a change costs each socket at most one frame every PAUSE_S.
"""

import asyncio
import logging
from collections.abc import Iterable
from itertools import islice
from typing import Final

from gateway.delivery.hub import Hub
from gateway.interfaces.broker import Broker
from gateway.interfaces.membership import ChatSetup
from gateway.node.user_feed import UserFeed
from gateway.protocol.control import ChatsChanged, encode
from gateway.protocol.pushes import ChatChanged
from storage.chat_records import ChatDetails
from storage.errors import StorageUnavailable

logger = logging.getLogger("gateway.feed")

PAUSE_S: Final = 0.25
RETRY_S: Final = 1.0
CHATS_A_QUERY: Final = 100
"""The details of a chat have up to 16 KiB."""


class ChatChanges:
    """The changed chats of this node's sockets. `run` is its owner task."""

    def __init__(self, hub: Hub, feed: UserFeed, setup: ChatSetup, broker: Broker) -> None:
        self._hub = hub
        self._feed = feed
        self._setup = setup
        self._broker = broker
        self._changed: dict[int, None] = {}
        self._due = asyncio.Event()

    def chat_changed(self, chat_id: int) -> None:
        """Called after the commit of a change; never blocks."""
        self.take([chat_id])
        self._broker.announce(encode(ChatsChanged([chat_id])))

    def take(self, chat_ids: Iterable[int]) -> None:
        """Read these chats soon, if a socket here is concerned."""
        self._changed.update(dict.fromkeys(filter(self._is_needed, chat_ids)))
        if self._changed:
            self._due.set()

    def _is_needed(self, chat_id: int) -> bool:
        return self._hub.chat(chat_id) is not None or self._feed.follows(chat_id)

    async def run(self) -> None:
        """Read changed chats and push them, until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            while chat_ids := list(islice(self._changed, CHATS_A_QUERY)):
                for chat_id in chat_ids:
                    del self._changed[chat_id]  # before the read, so that a change during it causes another
                try:
                    details = await self._setup.details(chat_ids)
                except StorageUnavailable:
                    logger.warning("changed_chats_unread")
                    self._changed.update(dict.fromkeys(chat_ids))
                    await asyncio.sleep(RETRY_S)
                    continue
                for detail in details.values():
                    self._push(detail)
            await asyncio.sleep(PAUSE_S)

    def _push(self, details: ChatDetails) -> None:
        push = ChatChanged(details.chat_id, details)
        local = self._hub.chat(details.chat_id)
        if local is not None:
            if local.version == details.version:
                return  # announced and found by the check
            local.version, local.change = details.version, push
            self._hub.broadcast(local, push)
        self._feed.tell_of(details.chat_id, push)
