"""Into no chat yet: whoever comes gets a socket of many chats under the client_id of its URL. Seed 000's URL family."""

import math
import uuid
from dataclasses import dataclass

from starlette.websockets import WebSocket

from gateway.dialects.base import Dialect
from gateway.entrances.base import Entry, OnClosed
from gateway.feed import Feed
from gateway.identity import Anonymous, Caller, Identity
from gateway.lane import Lane
from gateway.lobby import Lobby
from gateway.metrics.clients import ClientMetrics
from gateway.native_session import NativeSession
from gateway.node import Node
from gateway.path_segment import path_segment


@dataclass(frozen=True, slots=True)
class NativeSessions:
    """Makes sessions of many chats on this node."""

    node: Node
    lobby: Lobby
    feed: Feed
    metrics: ClientMetrics
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class ClientEntrance:
    """A bad or missing token means that nobody knows who it is."""

    identity: Identity
    sessions: NativeSessions

    @property
    def name(self) -> str:
        """The dialect's."""
        return self.sessions.dialect.name

    async def enter(self, websocket: WebSocket) -> Entry:
        """Find out who it is, if anybody.

        Raises: what `Identity.anyone` does, and Problem (404 for what can be no client_id).
        """
        client_id = path_segment(websocket, "/ws/", "/")
        return ClientEntry(self.sessions, client_id, await self.identity.anyone(websocket))


@dataclass(frozen=True, slots=True)
class ClientEntry:
    """Meets `Entry`."""

    sessions: NativeSessions
    client_id: str
    caller: Caller | Anonymous

    @property
    def subprotocol(self) -> str | None:
        """As the token came, good or bad."""
        return self.caller.subprotocol

    def open(self, lane: Lane, on_closed: OnClosed) -> NativeSession:
        """The session."""
        made = self.sessions
        caller = self.caller if isinstance(self.caller, Caller) else None
        return NativeSession(
            node=made.node,
            lobby=made.lobby,
            feed=made.feed,
            lane=lane,
            dialect=made.dialect,
            person=caller.person if caller else None,
            client_id=self.client_id,
            connection_id=uuid.uuid4().hex,
            expires_at=caller.expires_at if caller else math.inf,
            metrics=made.metrics,
            on_closed=on_closed,
        )
