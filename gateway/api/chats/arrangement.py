"""How the user's own lists show a chat, over HTTP: pinned, archived, muted, and read up to where."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Protocol, TypedDict

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.chat_access import Actors, limit_command, see_chat
from gateway.api.chats.activity import NO_CONNECTION
from gateway.api.schemas import answer
from gateway.http.problems import forbidden
from gateway.interfaces.chat_lists import ChatLists
from gateway.interfaces.membership import Memberships
from gateway.protocol.commands import MarkRead
from gateway.protocol.ids import MAX_ID
from gateway.sessions.command_limits import CommandLimits
from httpapi.body import read_json
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import api_resource
from storage.list_records import ArrangedChat, Arrangement
from storage.records import Person, ReadPosition

_UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ReadListener(Protocol):
    """Notifies sockets of read positions. Implemented by `gateway.node.node.Node`."""

    def read_moved(
        self, chat_id: int, person: Person, seq: int, connection_id: str, *, is_backwards: bool = False
    ) -> None:
        """Notify the person's sockets of the new read position, and the others unless it `is_backwards`."""
        ...


class ArrangementBody(Struct, forbid_unknown_fields=True):
    """What to change; fields that are left out stay as they are."""

    pinned: bool | UnsetType = UNSET
    archived: bool | UnsetType = UNSET
    muted_until: Annotated[datetime, Meta(tz=True)] | UnsetType | None = UNSET
    read_seq: Annotated[int, Meta(ge=0, le=MAX_ID)] | UnsetType = UNSET


class ArrangementObject(TypedDict):
    """How the caller's lists show the chat; `unread` counts messages by others after `read_seq`, up to 100."""

    chat_id: int
    pinned: bool
    archived: bool
    muted_until: datetime | None
    read_seq: int
    unread: int


class ArrangementRoutes:
    """`/api/v1/chats/{chat_id}/me`."""

    def __init__(
        self,
        actors: Actors,
        membership: Memberships,
        lists: ChatLists,
        listener: ReadListener,
        limits: CommandLimits,
    ) -> None:
        self._actors = actors
        self._membership = membership
        self._lists = lists
        self._listener = listener
        self._limits = limits

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [api_resource("/api/v1/chats/{chat_id}/me", PATCH=self._arrange)]

    @operation(
        "Pin, archive or mute a chat in the user's own lists, or move the read position.",
        Audience.USER_OR_SERVICE,
        {200: ArrangementObject},
        {403: "forbidden", 404: "not_found", 429: "rate_limited"},
        body=ArrangementBody,
        example={"pinned": True},
        details="`muted_until` null ends the mute. `read_seq` may move back, which marks messages as unread; the "
        "user's own sockets are notified of it, the other members only if it moves forward.",
        scope=Scope.CHATS,
    )
    async def _arrange(self, request: Request) -> Response:
        person, actor = await self._actors.user(request, self._arrange)
        chat_id = await self._actors.chat_id(request)
        body = await read_json(request, ArrangementBody)
        if body.read_seq is not UNSET:
            limit_command(self._limits, actor, MarkRead(body.read_seq))
        former = await self._position(chat_id, person)
        arranged = await self._lists.arrange(chat_id, person.id, _change(body))
        if former is None or arranged is None:
            await see_chat(self._membership, chat_id, person.id)
            raise forbidden("You are not a member of this chat.")
        seq = arranged.read_seq
        if seq == former.seq:
            return answer(_shown(chat_id, arranged, former.unread))
        self._listener.read_moved(chat_id, person, seq, NO_CONNECTION, is_backwards=seq < former.seq)
        position = await self._position(chat_id, person)
        return answer(_shown(chat_id, arranged, 0 if position is None else position.unread))

    async def _position(self, chat_id: int, person: Person) -> ReadPosition | None:
        return (await self._membership.read_positions([(chat_id, person.id)])).get((chat_id, person.id))


def _change(body: ArrangementBody) -> Arrangement:
    return Arrangement(
        is_pinned=None if body.pinned is UNSET else body.pinned,
        is_archived=None if body.archived is UNSET else body.archived,
        silenced_until=None if body.muted_until is UNSET else _microseconds(body.muted_until),
        read_seq=None if body.read_seq is UNSET else body.read_seq,
    )


def _microseconds(until: datetime | None) -> int:
    return 0 if until is None else max((until - _UNIX_EPOCH) // timedelta(microseconds=1), 0)


def _shown(chat_id: int, arranged: ArrangedChat, unread: int) -> ArrangementObject:
    return {
        "chat_id": chat_id,
        "pinned": arranged.is_pinned,
        "archived": arranged.is_archived,
        "muted_until": arranged.silenced_until,
        "read_seq": arranged.read_seq,
        "unread": unread,
    }
