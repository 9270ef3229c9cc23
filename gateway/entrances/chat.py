"""Into one chat, as a member of it: seed 004's URL family."""

import uuid
from dataclasses import dataclass
from http import HTTPStatus

from starlette.websockets import WebSocket

from gateway.entrances.base import Entry
from gateway.entrances.sessions import Sessions
from gateway.identity import Caller, Identity
from gateway.membership import Membership
from gateway.messages import MAX_ID
from gateway.presence import Seat
from gateway.problems import Problem
from gateway.settings import SecondConnection
from gateway.since import read_since
from gateway.subscription import Place
from storage.records import Admission


@dataclass(frozen=True, slots=True)
class ChatEntrance:
    """A token and a membership are needed. `second_connection` is what another connection of the same user does."""

    identity: Identity
    sessions: Sessions
    second_connection: SecondConnection

    @property
    def name(self) -> str:
        """The dialect's."""
        return self.sessions.dialect.name

    async def enter(self, websocket: WebSocket) -> Entry:
        """Find the caller and the membership, and take the seat.

        Raises: Problem, StorageUnavailable.
        """
        node = self.sessions.node
        caller, admission = await admitted(websocket, self.identity, node.membership)
        person = caller.person
        seat = Seat(
            chat_id=admission.chat_id,
            user_id=person.id,
            username=person.username,
            connection_id=uuid.uuid4().hex,
            exclusive=self.second_connection is not SecondConnection.ALLOW,
        )
        claim = await node.take_seat(seat, reject_second=self.second_connection is SecondConnection.REJECT)
        if claim is None:
            raise Problem(HTTPStatus.CONFLICT, "conflict", "You are connected to this chat already.")
        since = websocket.query_params.get("since")
        return self.sessions.entry(
            person,
            expires_at=caller.expires_at,
            subprotocol=caller.subprotocol,
            home=Place(seat, claim, None if since is None else read_since(since), admission.epoch),
        )


async def admitted(websocket: WebSocket, identity: Identity, membership: Membership) -> tuple[Caller, Admission]:
    """The caller, and the place that they have in the URL's chat.

    Raises: Problem, StorageUnavailable.
    """
    chat_id = chat_id_in(websocket.path_params["chat_id"])

    async def admit(user_id: int) -> Admission | None:
        return None if chat_id is None else await membership.admit(chat_id, user_id)

    return await identity.member(websocket, admit)


def chat_id_in(text: str) -> int | None:
    """The id in a URL; None if it can be none."""
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(MAX_ID)):
        return None
    value = int(text)
    return value if 0 < value <= MAX_ID else None
