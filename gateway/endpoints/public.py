"""Connects any user to the public channel: `/pub_ws` of seed 003."""

import uuid
from dataclasses import dataclass
from functools import partial

from gateway.authentication.authenticator import Authenticator
from gateway.delivery.subscription import PendingSubscription
from gateway.dialects.base import Dialect
from gateway.endpoints.base import PendingSession, asks_for_warning
from gateway.endpoints.handshake import Handshake
from gateway.interfaces.presence import Seat
from gateway.interfaces.rooms import PublicChannel
from gateway.node.member_changes import MemberChanges
from gateway.protocol.ids import Since, read_since
from gateway.sessions.context import Peer, SessionContext
from gateway.sessions.single_chat import ChatSession
from storage.records import Role


@dataclass(frozen=True, slots=True)
class PublicEndpoint:
    """Requires a token or ticket of any user; without `since`, all messages are replayed."""

    identity: Authenticator
    context: SessionContext
    dialect: Dialect
    channel: PublicChannel
    member_changes: MemberChanges

    @property
    def name(self) -> str:
        """The name of the dialect."""
        return self.dialect.name

    async def admit(self, handshake: Handshake) -> PendingSession:
        """Authenticate the caller, make them a member, and take a seat.

        Raises: Problem, StorageUnavailable.
        """
        caller = await self.identity.caller(handshake)
        person = caller.person
        admission, is_new = await self.channel.enter(person.id)
        if is_new:
            self.member_changes.membership_changed(admission.chat_id, person.id, removed=False)
        seat_id = uuid.uuid4().hex
        seat = Seat(admission.chat_id, person.id, person.username, seat_id, display_name=person.shown_name)
        claim = await self.context.node.enter(seat)
        assert claim is not None, "only contested seats are refused"  # noqa: S101
        since_text = handshake.query_params.get("since")
        since = Since(0) if since_text is None else read_since(since_text)
        is_reader = admission.member.role is Role.READER
        pending = PendingSubscription(
            seat, claim, since, admission.epoch, is_reader, members_version=admission.position.members_version
        )
        peer = Peer(self.dialect, person, caller.credential, seat.connection_id, asks_for_warning(handshake))
        return PendingSession(caller.subprotocol, partial(ChatSession, self.context, peer, pending))
