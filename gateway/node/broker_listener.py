"""Handles the reports of the broker and of presence: publications, interrupted subscriptions, changed seats."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from gateway.delivery.hub import Hub, LocalChat
from gateway.delivery.repair import Repair
from gateway.interfaces.presence import Entered, Seat
from gateway.node.chat_changes import ChatChanges
from gateway.node.chat_removals import RemovedChats
from gateway.node.evictions import Evictions
from gateway.node.local_clients import LocalClients
from gateway.node.node import LARGE_CHAT
from gateway.node.online.online_users import OnlineUsers
from gateway.node.presence_publisher import PresencePublisher
from gateway.node.read_positions import ReadPositions
from gateway.node.user_feed import UserFeed
from gateway.node.user_sessions import UserSessions
from gateway.protocol import control as announcements
from gateway.protocol import publications
from gateway.protocol.control import (
    Activity,
    ChatsChanged,
    ChatsRemoved,
    DirectToClient,
    DirectToUser,
    MembersChanged,
    PositionsMoved,
    PresenceChanged,
    RevocationsAdded,
    UserDisconnected,
)
from gateway.protocol.publications import CrowdedOut, MemberRemoved, Publication, Takeover
from gateway.protocol.pushes import MemberChanged, MessagesRead, PresenceChange, PresenceCount, Typing
from gateway.protocol.replies import Direct
from storage.records import ChatEvent

logger = logging.getLogger("gateway.intake")

COUNT_INTERVAL_S = 1.0
"""Minimum time between two presence count pushes in a large chat (docs/protocol.md, "Limits")."""


class BrokerHandler:
    """Implements BrokerListener and PresenceListener; every method is synchronous."""

    def __init__(
        self,
        *,
        hub: Hub,
        repair: Repair,
        evictions: Evictions,
        presence_publisher: PresencePublisher,
        local_clients: LocalClients,
        feed: UserFeed,
        read_positions: ReadPositions,
        user_sessions: UserSessions,
        chat_changes: ChatChanges,
        removed_chats: RemovedChats,
        on_bad: Callable[[], None],
        online: OnlineUsers | None = None,
    ) -> None:
        self._hub = hub
        self._repair = repair
        self._evictions = evictions
        self._presence_publisher = presence_publisher
        self._local_clients = local_clients
        self._feed = feed
        self._read_positions = read_positions
        self._user_sessions = user_sessions
        self._chat_changes = chat_changes
        self._removed_chats = removed_chats
        self._on_bad = on_bad
        self._online = online
        self._counting: set[int] = set()

    def on_publications(self, batch: Sequence[tuple[int, bytes]]) -> None:
        """Deliver the publications of other nodes and of this one; an invalid one is counted, logged and skipped."""
        for chat_id, payload in batch:
            local = self._hub.chat(chat_id)
            if local is None:
                continue
            seq = publications.seq_of(payload)
            if seq is not None and seq < local.reorder_buffer.next_seq:
                continue  # already delivered; usually this node's own publication, echoed by Redis
            try:
                publication = publications.decode(payload)
            except ValueError:
                self._on_bad()
                logger.warning("bad_publication", extra={"fields": {"chat_id": chat_id}})
                continue
            if publication is not None and publication.chat_id == chat_id:
                self._take(local, publication)

    def _take(self, local: LocalChat, publication: Publication) -> None:
        match publication:
            case ChatEvent():
                self._hub.deliver(local, [publication])
                self._repair.schedule(local)
            case Typing(person=person) | MessagesRead(person=person):
                if local.present_count <= LARGE_CHAT:  # the author's node may not know the size of the chat
                    self._hub.broadcast(local, publication, skip_user=person.id)
            case PresenceChange():
                self._take_presence(local, publication)
            case Takeover():
                self._evictions.replace(publication)
            case CrowdedOut():
                self._evictions.crowd_out(publication)
            case MemberChanged():
                self._evictions.note_role(publication)
                self._hub.broadcast(local, publication)
            case MemberRemoved():
                self._evictions.remove(publication.chat_id, publication.user_id)

    def _take_presence(self, local: LocalChat, change: PresenceChange) -> None:
        was_large = local.present_count > LARGE_CHAT
        local.present_count = change.count
        if change.count <= LARGE_CHAT:
            self._hub.broadcast(local, change, skip_user=change.user_id)
        if (was_large or change.count > LARGE_CHAT) and local.chat_id not in self._counting:
            self._counting.add(local.chat_id)
            asyncio.get_running_loop().call_later(COUNT_INTERVAL_S, self._push_count, local)

    def _push_count(self, local: LocalChat) -> None:
        self._counting.discard(local.chat_id)
        if local.is_needed:
            self._hub.broadcast(local, PresenceCount(local.chat_id, local.present_count))

    def on_announcements(self, batch: Sequence[bytes]) -> None:
        """Dispatch announcements about users and clients; an invalid payload is counted, logged and skipped."""
        for payload in batch:
            try:
                announcement = announcements.decode(payload)
            except ValueError:
                self._on_bad()
                logger.warning("bad_announcement")
                continue
            match announcement:
                case Activity() | MembersChanged():
                    self._feed.take(announcement)
                case ChatsChanged(chat_ids=chat_ids):
                    self._chat_changes.take(chat_ids)
                case ChatsRemoved(chat_ids=chat_ids):
                    self._removed_chats.take(chat_ids)
                case PositionsMoved():
                    self._read_positions.take(announcement)
                case PresenceChanged(user_ids=user_ids):
                    if self._online is not None:
                        self._online.watch.hint(user_ids)
                case RevocationsAdded() | UserDisconnected():
                    self._user_sessions.take(announcement)
                case DirectToUser(user_id=user_id, json=json):
                    self._local_clients.tell(self._local_clients.of_user(user_id), Direct(json))
                case DirectToClient(client_id=client_id, user_id=owner_id, json=json):
                    self._local_clients.tell(self._local_clients.of_client(client_id, owner_id), Direct(json))

    def on_interrupted(self) -> None:
        """The subscription was interrupted: check every chat and every user for missed events."""
        self._repair.check_soon()
        self._feed.check_soon()

    def on_gone(self, chat_id: int, user_id: int, username: str, count: int) -> None:
        """A user of a dead node is gone: publish the leave to all nodes."""
        if self._online is not None:
            self._online.gone(user_id)
        self._presence_publisher.gone(chat_id, user_id, username, count)

    def on_entered(self, seat: Seat, entered: Entered) -> None:
        """A seat was taken late, or was re-asserted: announce it."""
        self._presence_publisher.entered(seat, entered, is_takeover=seat.exclusive)

    def on_displaced(self, seat: Seat) -> None:
        """Re-asserting a local seat found seats that take precedence: close its session."""
        self._evictions.displace(seat)
