"""Connects a member to one chat: the URL family of seed 004."""

import uuid
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from gateway.authentication.authenticator import Authenticator
from gateway.config.choices import SecondConnection
from gateway.delivery.subscription import PendingSubscription
from gateway.dialects.base import Dialect
from gateway.endpoints.base import PendingSession, asks_for_warning
from gateway.endpoints.entrance import Entrance
from gateway.endpoints.handshake import Handshake
from gateway.http.problems import Problem
from gateway.interfaces.presence import Seat
from gateway.protocol.ids import read_since
from gateway.sessions.context import Peer, SessionContext
from gateway.sessions.single_chat import ChatSession
from storage.records import Role


@dataclass(frozen=True, slots=True)
class ChatEndpoint:
    """Requires a token and a membership. `second_connection` is the rule for a second connection of the same user."""

    identity: Authenticator
    context: SessionContext
    dialect: Dialect
    second_connection: SecondConnection

    @property
    def name(self) -> str:
        """The name of the dialect."""
        return self.dialect.name

    async def admit(self, handshake: Handshake) -> PendingSession:
        """Authenticate the caller, check the membership, and take the seat.

        Raises: Problem, StorageUnavailable.
        """
        with Entrance(handshake, self.context) as entrance:
            return await self._admit(handshake, entrance)

    async def _admit(self, handshake: Handshake, entrance: Entrance) -> PendingSession:
        caller, admission = await self.identity.member(handshake, entrance.admit)
        person = caller.person
        seat = Seat(
            chat_id=admission.chat_id,
            user_id=person.id,
            username=person.username,
            connection_id=uuid.uuid4().hex,
            exclusive=self.second_connection is not SecondConnection.ALLOW,
            display_name=person.shown_name,
        )
        reject_second = self.second_connection is SecondConnection.REJECT
        claim = await self.context.node.enter(seat, reject_second=reject_second)
        if claim is None:
            raise Problem(HTTPStatus.CONFLICT, "conflict", "You are connected to this chat already.")
        text = handshake.query_params.get("since")
        is_reader = admission.member.role is Role.READER
        since = None if text is None else read_since(text)
        pending = PendingSubscription(
            seat, claim, since, admission.epoch, is_reader, entrance.local, admission.position.members_version
        )
        peer = Peer(self.dialect, person, caller.credential, seat.connection_id, asks_for_warning(handshake))
        return PendingSession(caller.subprotocol, partial(ChatSession, self.context, peer, pending))
