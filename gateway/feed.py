"""The users' own feed: chats that they joined or left, and where something happens that they do not watch.

Best effort by contract: positions are hints, and what is lost is found by the next look at the list of chats. Each node
says at most every FLUSH_S, in one message for all, where it has stored something; each keeps the chats of the users who
are connected here, loaded once for many users together. So 300 chats cost one query, and no subscription.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable
from itertools import islice

from gateway.announcements import Activity, MembersChanged, encode
from gateway.broker import Broker
from gateway.frames import text_frame
from gateway.lobby import Lobby, LobbySocket
from gateway.membership import Membership
from gateway.notices import ChatActivity, ChatAdded, ChatRemoved, Notice
from storage.errors import StorageUnavailable

logger = logging.getLogger("gateway.feed")

FLUSH_S = 0.25
CHATS_A_MESSAGE = 1000
USERS_A_QUERY = 500
RETRY_S = 1.0


class _Follower:
    """A user's chats as this node knows them. `changes` are news during a read, which they win over."""

    __slots__ = ("changes", "chats", "is_known")

    def __init__(self) -> None:
        self.chats: set[int] = set()
        self.is_known = False
        self.changes: dict[int, bool] = {}

    def gain(self, chat_id: int) -> bool:
        """Whether that is news."""
        self.changes[chat_id] = True
        if chat_id in self.chats:
            return False
        self.chats.add(chat_id)
        return True

    def lose(self, chat_id: int) -> bool:
        """Whether that is news; of a user whose chats are not known yet it is, the first time."""
        is_news = chat_id in self.chats if self.is_known else self.changes.get(chat_id, True)
        self.changes[chat_id] = False
        self.chats.discard(chat_id)
        return is_news


class Feed:
    """This node's side of it. `run` is its owner task."""

    def __init__(
        self,
        node_id: str,
        lobby: Lobby,
        membership: Membership,
        broker: Broker,
    ) -> None:
        self._node_id = node_id
        self._lobby = lobby
        self._membership = membership
        self._broker = broker
        self._followers: dict[int, _Follower] = {}
        self._users: dict[int, set[int]] = {}
        """By chat: the followers who are in it."""
        self._unread: dict[int, None] = {}
        """Followers whose chats have to be read, again perhaps."""
        self._due = asyncio.Event()
        self._stored: dict[int, int] = {}
        """What other nodes have not been told of yet: the last seq by chat."""
        self._moved: dict[int, int] = {}
        """What the sockets here have not been told of yet."""
        self._timer: asyncio.TimerHandle | None = None

    # --- who follows

    def follow(self, user_id: int) -> None:
        """The user has a socket in the lobby."""
        if user_id not in self._followers:
            self._followers[user_id] = _Follower()
            self._read_soon([user_id])

    def unfollow(self, user_id: int) -> None:
        """A socket of the user's has left the lobby; nothing happens while another is there."""
        follower = self._followers.get(user_id)
        if follower is None or self._lobby.of_user(user_id):
            return
        del self._followers[user_id]
        self._unread.pop(user_id, None)
        for chat_id in follower.chats:
            self._unlist(chat_id, user_id)

    def check_soon(self) -> None:
        """News may have been missed: read all followers' chats again, and tell them what has changed."""
        self._read_soon(self._followers)

    def _read_soon(self, user_ids: Iterable[int]) -> None:
        self._unread.update(dict.fromkeys(user_ids))
        self._due.set()

    async def run(self) -> None:
        """Read, for ever, the chats of those who come, as many together as there are."""
        while True:
            await self._due.wait()
            self._due.clear()
            while batch := list(islice(self._unread, USERS_A_QUERY)):
                followers = {user_id: self._followers[user_id] for user_id in batch}
                for user_id, follower in followers.items():
                    del self._unread[user_id]  # before the read: what may be missed meanwhile asks for another one
                    follower.changes.clear()
                try:
                    found = await self._membership.chat_ids_of(batch)
                except StorageUnavailable:
                    self._unread.update(dict.fromkeys(followers.keys() & self._followers.keys()))
                    await asyncio.sleep(RETRY_S)
                    continue
                for user_id, follower in followers.items():
                    if self._followers.get(user_id) is follower:
                        self._settle(user_id, follower, found.get(user_id, set()))

    def _settle(self, user_id: int, follower: _Follower, found: set[int]) -> None:
        chats = found | {chat_id for chat_id, is_in in follower.changes.items() if is_in}
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

    # --- what happens here

    def on_stored(self, chat_id: int, seq: int) -> None:
        """This node has stored an event."""
        self._stored[chat_id] = max(seq, self._stored.get(chat_id, 0))
        self._move(chat_id, seq)

    def change_members(self, chat_id: int, user_ids: Collection[int], *, removed: bool) -> None:
        """The chat's members changed, by way of this node."""
        change = MembersChanged(chat_id, list(user_ids), removed)
        self.take(change)
        self._broker.announce(encode(change))

    def on_evicted(self, chat_id: int, user_id: int) -> None:
        """A subscription of the user's was found to be a member's no longer; said once, however often it is found."""
        self.take(MembersChanged(chat_id, [user_id], removed=True))

    # --- what other nodes say

    def take(self, news: Activity | MembersChanged) -> None:
        """Tell those whom it concerns; this node's own activity is no news."""
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

    # --- out

    def _tell(self, user_id: int, notice: Notice) -> None:
        self._lobby.tell(self._lobby.of_user(user_id), notice)

    def _move(self, chat_id: int, seq: int) -> None:
        if chat_id in self._users:
            self._moved[chat_id] = max(seq, self._moved.get(chat_id, 0))
        if self._timer is None and (self._moved or self._stored):
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    def _flush(self) -> None:
        self._timer = None
        stored, self._stored = list(self._stored.items()), {}
        for start in range(0, len(stored), CHATS_A_MESSAGE):
            self._broker.announce(encode(Activity(self._node_id, stored[start : start + CHATS_A_MESSAGE])))
        moved, self._moved = self._moved, {}
        frames: dict[LobbySocket, list[bytes]] = {}
        for chat_id, seq in moved.items():
            encoded: dict[str, bytes] = {}
            for user_id in self._users.get(chat_id, ()):
                for socket in self._lobby.of_user(user_id):
                    if not socket.is_subscribed(chat_id):
                        frames.setdefault(socket, []).append(_frame(socket, ChatActivity(chat_id, seq), encoded))
        for socket, its_frames in frames.items():
            socket.offer(b"".join(its_frames))
        self._lobby.count("chat_activity", sum(map(len, frames.values())))


def _frame(socket: LobbySocket, notice: Notice, encoded: dict[str, bytes]) -> bytes:
    """The notice in the socket's dialect, encoded once for all of them."""
    dialect = socket.dialect
    if dialect.name not in encoded:
        encoded[dialect.name] = text_frame(dialect.reply(notice, None) or b"")
    return encoded[dialect.name]
