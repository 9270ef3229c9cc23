"""Connects a member to a service or support chat in one of its two roles: the URL families of seed 001."""

import uuid
from dataclasses import dataclass
from functools import partial

from gateway.authentication.authenticator import Authenticator
from gateway.delivery.subscription import PendingSubscription
from gateway.dialects.base import Dialect
from gateway.endpoints.base import PendingSession, asks_for_warning
from gateway.endpoints.entrance import Entrance
from gateway.endpoints.handshake import Handshake
from gateway.http.problems import forbidden
from gateway.interfaces.presence import Seat
from gateway.protocol.ids import Since, read_since
from gateway.sessions.context import Peer, SessionContext
from gateway.sessions.single_chat import ChatSession
from storage.records import ChatKind, Role


@dataclass(frozen=True, slots=True)
class ServiceEndpoint:
    """Chats of one kind, for members with one of these roles. Requests with `since` use the dialect `resuming`."""

    identity: Authenticator
    context: SessionContext
    dialect: Dialect
    resuming: Dialect
    kind: ChatKind
    roles: frozenset[Role]

    @property
    def name(self) -> str:
        """The name of the chat kind."""
        return self.kind.value

    async def admit(self, handshake: Handshake) -> PendingSession:
        """Authenticate the caller, check the membership, and take a seat.

        Raises: Problem, StorageUnavailable.
        """
        with Entrance(handshake, self.context) as entrance:
            return await self._admit(handshake, entrance)

    async def _admit(self, handshake: Handshake, entrance: Entrance) -> PendingSession:
        caller, admission = await self.identity.member(handshake, entrance.admit)
        if admission.chat_kind is not self.kind or admission.member.role not in self.roles:
            raise forbidden(f"This is no {self.kind} chat of yours.")
        person, since_text = caller.person, handshake.query_params.get("since")
        # No greeting tells the client when it is live, so it receives everything from now on, before accept.
        since = Since(admission.position.last_seq, admission.epoch) if since_text is None else read_since(since_text)
        seat_id = uuid.uuid4().hex
        seat = Seat(admission.chat_id, person.id, person.username, seat_id, display_name=person.shown_name)
        claim = await self.context.node.enter(seat)
        assert claim is not None, "only contested seats are refused"  # noqa: S101
        pending = PendingSubscription(
            seat,
            claim,
            since,
            admission.epoch,
            local=entrance.local,
            members_version=admission.position.members_version,
        )
        dialect = self.dialect if since_text is None else self.resuming
        peer = Peer(dialect, person, caller.credential, seat.connection_id, asks_for_warning(handshake))
        return PendingSession(caller.subprotocol, partial(ChatSession, self.context, peer, pending))
