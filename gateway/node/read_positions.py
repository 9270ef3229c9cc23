"""Notifies a user's other sockets of a read position: `chat_read` on the native feed, `messages_read` in one chat.

Best effort, like the feed. A node announces moved positions to all nodes at most every FLUSH_S, each (chat, user) pair
once. A node where that user has another socket reads the position and the unread count from the store, many pairs in
one query. So no socket sees a position move back, and a user with one socket costs no query. Other members of the chat
are notified by the MessagesRead publication, which is independent of this module.
"""

import asyncio
from collections.abc import Sequence
from itertools import islice

from gateway.delivery.subscription import Subscription, SubscriptionRegistry
from gateway.interfaces.broker import Broker
from gateway.interfaces.membership import Memberships
from gateway.interfaces.session import LocalClient
from gateway.node.local_clients import LocalClients
from gateway.protocol.control import PositionsMoved, encode
from gateway.protocol.pushes import MessagesRead
from gateway.protocol.replies import ChatRead
from storage.errors import StorageUnavailable
from storage.records import Person, ReadPosition

FLUSH_S = 0.25
PAIRS_A_MESSAGE = 1000
PAIRS_A_QUERY = 200
RETRY_S = 1.0

_ChatAndUser = tuple[int, int]
"""(chat_id, user_id)."""
_Read = tuple[int, str]
"""The highest position set by a socket of this node, and its connection_id; (0, "") if no local socket set one."""


class ReadPositions:
    """Sends and receives read positions on this node. `run` is its owner task."""

    def __init__(
        self,
        node_id: str,
        local_clients: LocalClients,
        subscriptions: SubscriptionRegistry,
        membership: Memberships,
        broker: Broker,
    ) -> None:
        self._node_id = node_id
        self._local_clients = local_clients
        self._subscriptions = subscriptions
        self._membership = membership
        self._broker = broker
        self._unannounced: dict[_ChatAndUser, None] = {}
        self._due: dict[_ChatAndUser, _Read] = {}
        """Positions not yet sent to local sockets."""
        self._wake = asyncio.Event()

    def on_read(self, chat_id: int, user_id: int, seq: int, connection_id: str) -> None:
        """Record that a socket of this node moved its user's position to `seq`."""
        pair = chat_id, user_id
        self._unannounced[pair] = None
        self._due[pair] = max((seq, connection_id), self._due.get(pair, (0, "")))
        self._wake.set()

    def take(self, news: PositionsMoved) -> None:
        """Record positions that moved on another node; this node's own announcement is ignored."""
        if news.node_id == self._node_id:
            return
        for chat_id, user_id in news.pairs:
            if self._local_clients.of_user(user_id) or self._subscriptions.of(chat_id, user_id):
                self._due.setdefault((chat_id, user_id), (0, ""))
                self._wake.set()

    async def run(self) -> None:
        """Announce and send moved positions, until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(FLUSH_S)
            self._wake.clear()
            self._announce()
            due, self._due = self._due, {}
            waiting = {pair: read for pair, read in due.items() if any(self._others(pair, read[1]))}
            while batch := dict(islice(waiting.items(), PAIRS_A_QUERY)):
                try:
                    positions = await self._membership.read_positions(list(batch))
                except StorageUnavailable:
                    for pair, read in waiting.items():
                        self._due[pair] = max(read, self._due.get(pair, (0, "")))
                    self._wake.set()
                    await asyncio.sleep(RETRY_S)
                    break
                for pair, read in batch.items():
                    del waiting[pair]
                    if pair in positions:
                        self._send(pair, read, positions[pair])

    def _announce(self) -> None:
        pairs, self._unannounced = list(self._unannounced), {}
        for start in range(0, len(pairs), PAIRS_A_MESSAGE):
            self._broker.announce(encode(PositionsMoved(self._node_id, pairs[start : start + PAIRS_A_MESSAGE])))

    def _send(self, pair: _ChatAndUser, read: _Read, position: ReadPosition) -> None:
        chat_id, user_id = pair
        own_seq, connection_id = read
        sockets, subscriptions = self._others(pair, connection_id if own_seq == position.seq else "")
        self._local_clients.tell(sockets, ChatRead(chat_id, position.seq, position.unread))
        for subscription in subscriptions:
            assert subscription.seat is not None  # noqa: S101 - the registry has members only
            person = Person(user_id, subscription.seat.username)
            subscription.session.tell(MessagesRead(chat_id, person, position.seq))

    def _others(self, pair: _ChatAndUser, connection_id: str) -> tuple[Sequence[LocalClient], Sequence[Subscription]]:
        """The user's other local sockets: multi-chat sockets, and live subscriptions to this chat with a read push."""
        chat_id, user_id = pair
        sockets = [socket for socket in self._local_clients.of_user(user_id) if socket.connection_id != connection_id]
        subscriptions = [
            subscription
            for subscription in self._subscriptions.of(chat_id, user_id)
            if subscription.is_live and subscription.connection_id != connection_id and _has_read_pushes(subscription)
        ]
        return sockets, subscriptions


def _has_read_pushes(subscription: Subscription) -> bool:
    """Whether the dialect has a `messages_read` push; the native dialect reports reads on the feed."""
    return subscription.dialect.reply(MessagesRead(subscription.chat_id, _PROBE_PERSON, 0), None) is not None


_PROBE_PERSON = Person(0, "")
