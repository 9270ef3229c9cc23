"""The user feed: chats that a user joined or left, and activity in chats that the socket is not subscribed to.

Best effort by contract: positions are hints, and a client recovers a lost notice when it next reads its list of chats.
At most every FLUSH_S, each node announces the chats in which it stored events, in batches. Each node keeps the chat ids
of the users connected to it, loaded for many users in one query. So 300 chats cost one query and no subscription.

Activity in a chat of many members goes to as many sockets: in slices, between which the event loop serves others.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping
from itertools import islice

from gateway.interfaces.broker import Broker
from gateway.interfaces.membership import Memberships
from gateway.interfaces.session import LocalClient
from gateway.node.local_clients import LocalClients
from gateway.protocol.control import Activity, MembersChanged, encode
from gateway.protocol.frames import FrameSink, text_frame, write_to_all
from gateway.protocol.replies import ChatActivity, ChatAdded, ChatRemoved, Notice
from storage.errors import StorageUnavailable

logger = logging.getLogger("gateway.feed")

FLUSH_S = 0.25
CHATS_A_MESSAGE = 1000
USERS_A_QUERY = 500
RETRY_S = 1.0
SLICE = 500
"""Sockets in one turn of the event loop, 10 µs each."""


class _Follower:
    """A user's chats as this node knows them. `changes` arrived during a read of the store and override its result."""

    __slots__ = ("changes", "chats", "is_known")

    def __init__(self) -> None:
        self.chats: set[int] = set()
        self.is_known = False
        self.changes: dict[int, bool] = {}

    def gain(self, chat_id: int) -> bool:
        """Add the chat; True if it was not known."""
        self.changes[chat_id] = True
        if chat_id in self.chats:
            return False
        self.chats.add(chat_id)
        return True

    def lose(self, chat_id: int) -> bool:
        """Remove the chat; True if it was known, or, while the chats are not loaded yet, if it is the first removal."""
        is_change = chat_id in self.chats if self.is_known else self.changes.get(chat_id, True)
        self.changes[chat_id] = False
        self.chats.discard(chat_id)
        return is_change

    def lacks(self, chat_id: int) -> bool:
        """Whether, as far as this node knows, the user is not in the chat."""
        return chat_id not in self.chats if self.is_known else self.changes.get(chat_id) is False


class UserFeed:
    """The feed of the users connected to this node. `run` is its owner task."""

    def __init__(
        self,
        node_id: str,
        local_clients: LocalClients,
        membership: Memberships,
        broker: Broker,
    ) -> None:
        self._node_id = node_id
        self._local_clients = local_clients
        self._membership = membership
        self._broker = broker
        self._followers: dict[int, _Follower] = {}
        self._users: dict[int, set[int]] = {}
        """By chat: the followers who are members of it."""
        self._unread: dict[int, None] = {}
        """Followers whose chats must be read, or read again."""
        self._due = asyncio.Event()
        self._stored: dict[int, int] = {}
        """By chat: the last seq not yet announced to other nodes."""
        self._moved: dict[int, int] = {}
        """By chat: the last seq not yet sent to local sockets."""
        self._has_activity = asyncio.Event()

    # --- followers

    def follow(self, user_id: int) -> None:
        """Start to follow the chats of a user who has opened a multi-chat socket."""
        if user_id not in self._followers:
            self._followers[user_id] = _Follower()
            self._read_soon([user_id])

    def unfollow(self, user_id: int) -> None:
        """Stop following the user's chats; ignored while another multi-chat socket of the user is open."""
        follower = self._followers.get(user_id)
        if follower is None or self._local_clients.of_user(user_id):
            return
        del self._followers[user_id]
        self._unread.pop(user_id, None)
        for chat_id in follower.chats:
            self._unlist(chat_id, user_id)

    def check_soon(self) -> None:
        """Read the chats of all followers again and notify them of changes, as announcements may have been missed."""
        self._read_soon(self._followers)

    def _read_soon(self, user_ids: Iterable[int]) -> None:
        self._unread.update(dict.fromkeys(user_ids))
        self._due.set()

    async def run(self) -> None:
        """Read the chats of new followers and send activity, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(), name="users' feed: chats")
            group.create_task(self._send_activity(), name="users' feed: activity")

    async def _read(self) -> None:
        """Read the chats of new followers, up to USERS_A_QUERY per query."""
        while True:
            await self._due.wait()
            self._due.clear()
            while batch := list(islice(self._unread, USERS_A_QUERY)):
                followers = {user_id: self._followers[user_id] for user_id in batch}
                for user_id, follower in followers.items():
                    del self._unread[user_id]  # before the read, so that `check_soon` during it causes another read
                    follower.changes.clear()
                try:
                    chat_ids = await self._membership.chat_ids_of(batch)
                except StorageUnavailable:
                    self._unread.update(dict.fromkeys(followers.keys() & self._followers.keys()))
                    await asyncio.sleep(RETRY_S)
                    continue
                for user_id, follower in followers.items():
                    if self._followers.get(user_id) is follower:
                        self._settle(user_id, follower, chat_ids.get(user_id, set()))

    def _settle(self, user_id: int, follower: _Follower, stored: set[int]) -> None:
        chats = stored | {chat_id for chat_id, is_in in follower.changes.items() if is_in}
        chats -= {chat_id for chat_id, is_in in follower.changes.items() if not is_in}
        added, removed = chats - follower.chats, follower.chats - chats
        was_known, follower.is_known, follower.chats = follower.is_known, True, chats
        for chat_id in added:
            self._users.setdefault(chat_id, set()).add(user_id)
        for chat_id in removed:
            self._unlist(chat_id, user_id)
        if was_known:
            for chat_id in added:
                self._tell(user_id, ChatAdded(chat_id))
            for chat_id in removed:
                self._tell(user_id, ChatRemoved(chat_id))

    def _unlist(self, chat_id: int, user_id: int) -> None:
        users = self._users.get(chat_id)
        if users is not None:
            users.discard(user_id)
            if not users:
                del self._users[chat_id]

    # --- events of this node

    def on_stored(self, chat_id: int, seq: int) -> None:
        """Record that this node has stored an event."""
        self._stored[chat_id] = max(seq, self._stored.get(chat_id, 0))
        self._move(chat_id, seq)

    def change_members(self, chat_id: int, user_ids: Collection[int], *, removed: bool) -> None:
        """Notify local users of a membership change made on this node, and announce it to the other nodes."""
        change = MembersChanged(chat_id, list(user_ids), removed)
        self.take(change)
        self._broker.announce(encode(change))

    def on_admitted(self, chat_id: int, user_id: int) -> None:
        """List a chat again that the user has just subscribed to as a member.

        This node may have missed that the user was added. Or the user was removed while the subscription was made:
        the sockets know that, and must hear of the end of this subscription as well.
        """
        follower = self._followers.get(user_id)
        if follower is not None and follower.lacks(chat_id):
            self.take(MembersChanged(chat_id, [user_id], removed=False))

    def on_evicted(self, chat_id: int, user_id: int) -> None:
        """Notify a user whose subscription was closed because the membership ended; repeated calls notify once."""
        self.take(MembersChanged(chat_id, [user_id], removed=True))

    def end_chat(self, chat_id: int) -> None:
        """Notify the members that follow a chat that it was removed."""
        self.take(MembersChanged(chat_id, list(self._users.get(chat_id, ())), removed=True))

    # --- events of other nodes

    def take(self, news: Activity | MembersChanged) -> None:
        """Notify the users concerned; this node's own activity is ignored."""
        if isinstance(news, Activity):
            if news.node_id != self._node_id:
                for chat_id, seq in news.positions:
                    self._move(chat_id, seq)
            return
        for user_id in news.user_ids:
            follower = self._followers.get(user_id)
            if follower is None:
                continue
            if news.removed and follower.lose(news.chat_id):
                self._unlist(news.chat_id, user_id)
                self._tell(user_id, ChatRemoved(news.chat_id))
            elif not news.removed and follower.gain(news.chat_id):
                self._users.setdefault(news.chat_id, set()).add(user_id)
                self._tell(user_id, ChatAdded(news.chat_id))

    def tell_of(self, chat_id: int, notice: Notice) -> None:
        """Send a notice about a chat to its members' sockets that are not subscribed to it."""
        encoded: dict[str, bytes] = {}
        count = 0
        for user_id in self._users.get(chat_id, ()):
            for socket in self._local_clients.of_user(user_id):
                if not socket.is_subscribed(chat_id):
                    count += write_to_all((socket.outlet,), _frame(socket, notice, encoded))
        self._local_clients.count_of(notice, count)

    def follows(self, chat_id: int) -> bool:
        """Whether a member of the chat has a multi-chat socket here."""
        return chat_id in self._users

    # --- output

    def _tell(self, user_id: int, notice: Notice) -> None:
        self._local_clients.tell(self._local_clients.of_user(user_id), notice)

    def _move(self, chat_id: int, seq: int) -> None:
        if chat_id in self._users:
            self._moved[chat_id] = max(seq, self._moved.get(chat_id, 0))
        if self._moved or self._stored:
            self._has_activity.set()

    async def _send_activity(self) -> None:
        """Announce activity to the other nodes and send it to local sockets, at most every FLUSH_S."""
        while True:
            await self._has_activity.wait()
            await asyncio.sleep(FLUSH_S)
            self._has_activity.clear()
            stored, self._stored = list(self._stored.items()), {}
            for start in range(0, len(stored), CHATS_A_MESSAGE):
                self._broker.announce(encode(Activity(self._node_id, stored[start : start + CHATS_A_MESSAGE])))
            moved, self._moved = self._moved, {}
            await self._write(moved)

    async def _write(self, moved: Mapping[int, int]) -> None:
        """One write a socket; those with the same activity get the same bytes."""
        frames, count, next_turn = dict[LocalClient, bytes](), 0, SLICE
        for chat_id, seq in moved.items():
            notice, encoded = ChatActivity(chat_id, seq), dict[str, bytes]()
            for user_id in tuple(self._users.get(chat_id, ())):
                for socket in self._local_clients.of_user(user_id):
                    if not socket.is_subscribed(chat_id):
                        frames[socket] = frames.get(socket, b"") + _frame(socket, notice, encoded)
                        count += 1
                if count >= next_turn:
                    next_turn = count + SLICE
                    await asyncio.sleep(0)
        waiting = list(frames.items())
        for start in range(0, len(waiting), SLICE):
            outlets: dict[bytes, list[FrameSink]] = {}
            for socket, its_frames in waiting[start : start + SLICE]:
                outlets.setdefault(its_frames, []).append(socket.outlet)
            for its_frames, group in outlets.items():
                write_to_all(group, its_frames)
            await asyncio.sleep(0)
        self._local_clients.count("chat_activity", count)


def _frame(socket: LocalClient, notice: Notice, encoded: dict[str, bytes]) -> bytes:
    """The notice as a frame in the dialect of the socket; encoded once per dialect."""
    dialect = socket.dialect
    if dialect.name not in encoded:
        encoded[dialect.name] = text_frame(dialect.reply(notice, None) or b"")
    return encoded[dialect.name]
