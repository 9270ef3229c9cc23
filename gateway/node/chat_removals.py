"""Ends removed chats for every socket of this node.

Keeps: a removal is announced through Redis, and read from the store every INTERVAL_S, so that it reaches every socket
within seconds also if Redis is down.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from gateway.interfaces.broker import Broker
from gateway.interfaces.membership import ChatSetup, MemberRoles, RemovalLog
from gateway.node.chat_changes import ChatChanges
from gateway.node.evictions import Evictions
from gateway.node.user_feed import UserFeed
from gateway.protocol.control import ChatsRemoved, encode
from storage.errors import StorageUnavailable

INTERVAL_S: Final = 2.0
OVERLAP_S: Final = 30
"""How far back each read goes: clocks differ, a removal is committed later than it is dated, and a subscription may
begin at the same time."""


class RemovedChats:
    """The end of removed chats on this node. `run` is its owner task."""

    def __init__(
        self,
        log: RemovalLog,
        feed: UserFeed,
        evictions: Evictions,
        broker: Broker,
    ) -> None:
        self._log = log
        self._feed = feed
        self._evictions = evictions
        self._broker = broker
        self._read_at = time.time()

    def chat_removed(self, chat_id: int) -> None:
        """Called after the commit of a removal; never blocks."""
        self.take([chat_id])
        self._broker.announce(encode(ChatsRemoved([chat_id])))

    def take(self, chat_ids: Iterable[int]) -> None:
        """End the subscriptions to these chats, and notify their members. It may be repeated."""
        for chat_id in chat_ids:
            self._feed.end_chat(chat_id)
            self._evictions.end_chat(chat_id)

    async def run(self) -> None:
        """Read removals until cancelled."""
        while True:
            started = time.time()
            with suppress(StorageUnavailable):  # the position check reports it
                self.take(await self._log.since(int(self._read_at) - OVERLAP_S))
                self._read_at = started
            await asyncio.sleep(INTERVAL_S)


@dataclass(frozen=True, slots=True)
class ChatUpkeep:
    """What a node needs to change and remove chats: what is stored, and what tells the sockets of every node."""

    setup: ChatSetup
    changes: ChatChanges
    removals: RemovalLog
    removed: RemovedChats
    roles: MemberRoles
