"""Into the public channel, as any user: the link of seed 003's `/pub_ws`."""

import uuid
from dataclasses import dataclass

from starlette.websockets import WebSocket

from gateway.entrances.base import Entry
from gateway.entrances.sessions import Sessions
from gateway.identity import Identity
from gateway.presence import Seat
from gateway.public_channel import PublicChannel
from gateway.since import Since, read_since
from gateway.subscription import Place


@dataclass(frozen=True, slots=True)
class PublicEntrance:
    """A user's token or ticket is all that is needed; who comes without `since` is told everything."""

    identity: Identity
    sessions: Sessions
    channel: PublicChannel

    @property
    def name(self) -> str:
        """The dialect's."""
        return self.sessions.dialect.name

    async def enter(self, websocket: WebSocket) -> Entry:
        """Find the caller, make them a member, and take a seat.

        Raises: Problem, StorageUnavailable.
        """
        caller = await self.identity.caller(websocket)
        person, node = caller.person, self.sessions.node
        admission, is_new = await self.channel.enter(person.id)
        if is_new:
            node.membership_changed(admission.chat_id, person.id, removed=False)
        seat = Seat(admission.chat_id, person.id, person.username, uuid.uuid4().hex)
        claim = await node.take_seat(seat)
        assert claim is not None, "only contested seats are refused"  # noqa: S101
        asked = websocket.query_params.get("since")
        return self.sessions.entry(
            person,
            expires_at=caller.expires_at,
            subprotocol=caller.subprotocol,
            home=Place(seat, claim, Since(0) if asked is None else read_since(asked), admission.epoch),
        )
