"""Into a room, as its guest: the URL family of seed 002."""

import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.websockets import WebSocket

from gateway.codes import ErrorCode
from gateway.dialects.room import RoomDialect
from gateway.entrances.base import Entry, OnClosed
from gateway.entrances.sessions import SessionEntry
from gateway.identity import Guest, Identity
from gateway.lane import Lane
from gateway.metrics.clients import ClientMetrics
from gateway.node import Node
from gateway.presence import Seat, guest_id
from gateway.problems import Problem, forbidden
from gateway.room_session import RoomSession
from gateway.rooms import Rooms, is_room_name
from gateway.since import Since, read_since
from gateway.subscription import Place

CAPACITY: Final = 2
"""Unique usernames that may be connected at once, over all nodes (seed 002)."""


@dataclass(frozen=True, slots=True)
class RoomEntrance:
    """A guest token for the very room is needed, and that the room is not full of others."""

    identity: Identity
    rooms: Rooms
    node: Node
    metrics: ClientMetrics

    @property
    def name(self) -> str:
        """The dialect's."""
        return RoomDialect.name

    async def enter(self, websocket: WebSocket) -> Entry:
        """Find the guest, find or make the room, and take the seat.

        Raises: Problem, StorageUnavailable.
        """
        guest = await self.identity.guest(websocket)
        room_name = websocket.path_params["room_id"]
        if room_name not in (guest.room_id, guest.room_id + "/") or not is_room_name(guest.room_id):
            raise forbidden("This token is for another room.")
        entered = await self.rooms.enter(guest.room_id)
        seat = Seat(
            chat_id=entered.room.chat_id,
            user_id=guest_id(guest.username),
            username=guest.username,
            connection_id=uuid.uuid4().hex,
            capacity=CAPACITY,
        )
        claim = await self.node.take_seat(seat)
        if claim is None:
            detail = f"The room is full: {CAPACITY} others are connected."
            raise Problem(HTTPStatus.CONFLICT, ErrorCode.ROOM_FULL, detail)
        asked = websocket.query_params.get("since")
        # There is no greeting that tells a client from when on it is live, so it is from now on, before it is accepted.
        since = Since(entered.position.last_seq, entered.epoch) if asked is None else read_since(asked)
        dialect = RoomDialect(entered.room.name, resumes=asked is not None)
        return self._entry(guest, dialect, Place(seat, claim, since, entered.epoch))

    def _entry(self, guest: Guest, dialect: RoomDialect, home: Place) -> SessionEntry:
        def open_session(lane: Lane, on_closed: OnClosed) -> RoomSession:
            return RoomSession(
                node=self.node,
                lane=lane,
                dialect=dialect,
                person=None,
                expires_at=guest.expires_at,
                metrics=self.metrics,
                on_closed=on_closed,
                home=home,
            )

        return SessionEntry(guest.subprotocol, open_session)
