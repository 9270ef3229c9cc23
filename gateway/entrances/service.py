"""Into a service or support chat, in one of its two roles: the URL families of seed 001."""

import uuid
from dataclasses import dataclass

from starlette.websockets import WebSocket

from gateway.entrances.base import Entry
from gateway.entrances.chat import admitted
from gateway.entrances.sessions import Sessions
from gateway.identity import Identity
from gateway.presence import Seat
from gateway.problems import forbidden
from gateway.since import Since, read_since
from gateway.subscription import Place
from storage.records import ChatKind, Role


@dataclass(frozen=True, slots=True)
class ServiceEntrance:
    """Chats of one kind, for members in one of these roles. `resuming` makes the sessions that come with `since`."""

    identity: Identity
    sessions: Sessions
    resuming: Sessions
    kind: ChatKind
    roles: frozenset[Role]

    @property
    def name(self) -> str:
        """The kind's."""
        return self.kind.value

    async def enter(self, websocket: WebSocket) -> Entry:
        """Find the caller and the membership, and take a seat.

        Raises: Problem, StorageUnavailable.
        """
        caller, admission = await admitted(websocket, self.identity, self.sessions.node.membership)
        if admission.chat_kind is not self.kind or admission.member.role not in self.roles:
            raise forbidden(f"This is no {self.kind} chat of yours.")
        person, asked = caller.person, websocket.query_params.get("since")
        # There is no greeting that tells a client from when on it is live, so it is from now on, before it is accepted.
        since = Since(admission.position.last_seq, admission.epoch) if asked is None else read_since(asked)
        seat = Seat(admission.chat_id, person.id, person.username, uuid.uuid4().hex)
        claim = await self.sessions.node.take_seat(seat)
        assert claim is not None, "only contested seats are refused"  # noqa: S101
        return (self.sessions if asked is None else self.resuming).entry(
            person,
            expires_at=caller.expires_at,
            subprotocol=caller.subprotocol,
            home=Place(seat, claim, since, admission.epoch),
        )
