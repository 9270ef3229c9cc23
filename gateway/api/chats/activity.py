"""What a user does in a chat besides writing, over HTTP: read up to a message, and type."""

from typing import Annotated, Protocol, TypedDict

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.chat_access import Actors, limit_command, see_chat
from gateway.api.schemas import answer
from gateway.http.problems import forbidden, refused
from gateway.interfaces.membership import Memberships
from gateway.protocol.commands import MarkRead, SetTyping
from gateway.protocol.ids import MAX_ID
from gateway.sessions.command_limits import CommandLimits
from httpapi.body import read_json
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import api_resource
from storage.records import Person, Refusal

NO_CONNECTION = ""
"""The connection id of a read over HTTP: all of the user's sockets are notified."""


class ActivityListener(Protocol):
    """Moves read positions and publishes typing. Implemented by `gateway.node.node.Node`."""

    async def mark_read(self, chat_id: int, person: Person, seq: int, connection_id: str) -> None:
        """Move the person's read position forward.

        Raises: StorageUnavailable.
        """
        ...

    def publish_typing(self, chat_id: int, person: Person, is_typing: bool) -> None:
        """Publish that the person started or stopped typing."""
        ...


class ReadBody(Struct, forbid_unknown_fields=True):
    """The seq up to which the user has read; without it, all of the chat."""

    seq: Annotated[int, Meta(ge=0, le=MAX_ID)] = MAX_ID


class TypingBody(Struct, forbid_unknown_fields=True):
    """Whether the user is typing."""

    is_typing: bool = True


class ReadPositionObject(TypedDict):
    """How far the user has read; `unread` counts messages by others after `seq`, up to 100."""

    chat_id: int
    seq: int
    unread: int


class ChatActivityRoutes:
    """`/api/v1/chats/{chat_id}/read` and `…/typing`."""

    def __init__(
        self, actors: Actors, membership: Memberships, activity: ActivityListener, limits: CommandLimits
    ) -> None:
        self._actors = actors
        self._membership = membership
        self._activity = activity
        self._limits = limits

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [
            api_resource("/api/v1/chats/{chat_id}/read", POST=self._read),
            api_resource("/api/v1/chats/{chat_id}/typing", POST=self._typing),
        ]

    @operation(
        "Mark the messages of a chat as read, up to a seq.",
        Audience.USER_OR_SERVICE,
        {200: ReadPositionObject},
        {403: "forbidden", 404: "not_found", 429: "rate_limited"},
        body=ReadBody,
        example={"seq": 1},
        details="The position never moves back. The other members and the user's own sockets are notified.",
        scope=Scope.MESSAGES,
    )
    async def _read(self, request: Request) -> Response:
        person, actor = await self._actors.user(request, self._read)
        chat_id = await self._actors.chat_id(request)
        body = await read_json(request, ReadBody)
        limit_command(self._limits, actor, MarkRead(body.seq))
        last_seq = await self._last_seq(chat_id, person)
        await self._activity.mark_read(chat_id, person, min(body.seq, last_seq), NO_CONNECTION)
        positions = await self._membership.read_positions([(chat_id, person.id)])
        position = positions.get((chat_id, person.id))
        if position is None:  # removed meanwhile
            raise forbidden("You are not a member of this chat.")
        return answer(ReadPositionObject(chat_id=chat_id, seq=position.seq, unread=position.unread))

    @operation(
        "Announce that the user starts or stops typing.",
        Audience.USER_OR_SERVICE,
        {204: None},
        {403: "forbidden", 404: "not_found", 429: "rate_limited"},
        body=TypingBody,
        example={"is_typing": True},
        details="Clients show it for some seconds: repeat it while it lasts. Chats with more than 50 users present get "
        "none.",
        scope=Scope.MESSAGES,
    )
    async def _typing(self, request: Request) -> Response:
        person, actor = await self._actors.user(request, self._typing)
        chat_id = await self._actors.chat_id(request)
        body = await read_json(request, TypingBody)
        limit_command(self._limits, actor, SetTyping(body.is_typing))
        await self._last_seq(chat_id, person, writes=True)
        self._activity.publish_typing(chat_id, person, body.is_typing)
        return Response(status_code=204)

    async def _last_seq(self, chat_id: int, person: Person, *, writes: bool = False) -> int:
        """The last seq of a chat of which this user is a member, and no reader if it `writes`.

        Raises: Problem (403, 404), StorageUnavailable.
        """
        access = await see_chat(self._membership, chat_id, person.id)
        if not access.is_member:
            raise forbidden("You are not a member of this chat.")
        if writes and access.is_reader:
            raise refused(Refusal.READER)
        return access.last_seq
