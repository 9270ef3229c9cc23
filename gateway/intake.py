"""What comes to this node unasked: publications of other nodes, broken links, and what presence finds on its own."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from gateway import announcements, publications
from gateway.announcements import Activity, DirectToClient, DirectToUser, MembersChanged
from gateway.evictions import Evictions
from gateway.feed import Feed
from gateway.hub import Hub, LocalChat
from gateway.lobby import Lobby
from gateway.messages import (
    CrowdedOut,
    MemberRemoved,
    MessagesRead,
    PresenceChange,
    PresenceCount,
    Publication,
    Takeover,
    Typing,
)
from gateway.node import LARGE_CHAT, Node
from gateway.notices import Direct
from gateway.presence import Entered, Seat
from gateway.repair import Repair
from storage.records import ChatEvent

logger = logging.getLogger("gateway.intake")

COUNT_INTERVAL_S = 1.0
"""A large chat hears how many are present at most this often (protocol.md, seed 004)."""


class Intake:
    """Meets BrokerListener and PresenceListener: everything here is synchronous."""

    def __init__(
        self,
        *,
        hub: Hub,
        repair: Repair,
        evictions: Evictions,
        node: Node,
        lobby: Lobby,
        feed: Feed,
        on_bad: Callable[[], None],
    ) -> None:
        self._hub = hub
        self._repair = repair
        self._evictions = evictions
        self._node = node
        self._lobby = lobby
        self._feed = feed
        self._on_bad = on_bad
        self._counting: set[int] = set()

    def on_publications(self, batch: Sequence[tuple[int, bytes]]) -> None:
        """Deliver what other nodes (and this one) published; a payload that is none is skipped."""
        for chat_id, payload in batch:
            local = self._hub.chat(chat_id)
            if local is None:
                continue
            seq = publications.seq_of(payload)
            if seq is not None and seq < local.timeline.next_seq:
                continue  # it has been delivered: mostly this node's own, back from Redis
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
                self._hub.feed(local, [publication])
                self._repair.look(local)
            case Typing(person=person) | MessagesRead(person=person):
                if local.present_count <= LARGE_CHAT:  # its author's node may not know how large the chat is
                    self._hub.broadcast(local, publication, skip_user=person.id)
            case PresenceChange():
                self._take_presence(local, publication)
            case Takeover():
                self._evictions.replace(publication)
            case CrowdedOut():
                self._evictions.crowd_out(publication)
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
        """Pass on what concerns users and clients of this node; a payload that is none is skipped."""
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
                case DirectToUser(user_id=user_id, json=json):
                    self._lobby.tell(self._lobby.of_user(user_id), Direct(json))
                case DirectToClient(client_id=client_id, json=json):
                    self._lobby.tell(self._lobby.of_client(client_id), Direct(json))

    def on_interrupted(self) -> None:
        """The subscription was broken: every chat and every user may lack something."""
        self._repair.check_soon()
        self._feed.check_soon()

    def on_gone(self, chat_id: int, user_id: int, username: str, count: int) -> None:
        """A dead node's user is gone: tell everybody, wherever they are connected."""
        self._node.publish_presence(PresenceChange(chat_id, user_id, username, "leave", count))

    def on_entered(self, seat: Seat, entered: Entered) -> None:
        """A seat was taken late, or again."""
        self._node.announce(seat, entered, is_takeover=seat.exclusive)

    def on_displaced(self, seat: Seat) -> None:
        """Seats that come first were found when a local one was re-asserted."""
        self._evictions.displace(seat)
