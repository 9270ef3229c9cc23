"""Connects a guest to a room: the URL family of seed 002."""

import uuid
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Final

from gateway.authentication.authenticator import Authenticator
from gateway.delivery.subscription import PendingSubscription
from gateway.dialects.room import RoomDialect
from gateway.endpoints.base import PendingSession
from gateway.endpoints.connection_limits import network_of
from gateway.endpoints.handshake import Handshake
from gateway.http.problems import Problem, forbidden
from gateway.interfaces.presence import Seat, guest_id
from gateway.interfaces.rooms import Rooms, is_room_name
from gateway.protocol.codes import ErrorCode
from gateway.protocol.ids import Since, read_since
from gateway.sessions.context import Peer, SessionContext
from gateway.sessions.single_chat import RoomSession
from storage.auth_records import Credential

CAPACITY: Final = 2
"""Maximum number of different usernames connected at once, across all nodes (seed 002)."""


@dataclass(frozen=True, slots=True)
class RoomEndpoint:
    """Requires a guest token for this room, and that the room is not full of other users."""

    identity: Authenticator
    context: SessionContext
    rooms: Rooms

    @property
    def name(self) -> str:
        """The name of the dialect."""
        return RoomDialect.name

    async def admit(self, handshake: Handshake) -> PendingSession:
        """Authenticate the guest, find or create the room, and take the seat.

        Raises: Problem, StorageUnavailable.
        """
        guest = await self.identity.guest(handshake)
        room_name = handshake.path_params["room_id"]
        if room_name not in (guest.room_id, guest.room_id + "/") or not is_room_name(guest.room_id):
            raise forbidden("This token is for another room.")
        room_entry = await self.rooms.enter(guest.room_id)
        seat = Seat(
            chat_id=room_entry.room.chat_id,
            user_id=guest_id(guest.username),
            username=guest.username,
            connection_id=uuid.uuid4().hex,
            capacity=CAPACITY,
        )
        claim = await self.context.node.enter(seat)
        if claim is None:
            detail = f"The room is full: {CAPACITY} others are connected."
            raise Problem(HTTPStatus.CONFLICT, ErrorCode.ROOM_FULL, detail)
        since_text = handshake.query_params.get("since")
        # No greeting tells the client when it is live, so it receives everything from now on, before accept.
        since = Since(room_entry.position.last_seq, room_entry.epoch) if since_text is None else read_since(since_text)
        dialect = RoomDialect(room_entry.room.name, resumes=since_text is not None)
        pending = PendingSubscription(seat, claim, since, room_entry.epoch)
        peer = Peer(
            dialect, None, Credential(None, guest.expires_at), seat.connection_id, network=network_of(handshake)
        )
        return PendingSession(guest.subprotocol, partial(RoomSession, self.context, peer, pending))
