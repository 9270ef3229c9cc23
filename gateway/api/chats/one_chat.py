"""One chat over HTTP: get it, change its title, data and rules, remove it."""

import logging
from http import HTTPStatus
from typing import Annotated, Any, Final, Protocol

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.chat_access import Actor, Actors
from gateway.api.schemas import ChatObject, answer, chat_object
from gateway.http.problems import beyond_64_bits, invalid_field, not_found
from gateway.interfaces.membership import ChatSetup, Memberships, RemovalLog
from httpapi.audit.facts import note_unchanged
from httpapi.body import read_json
from httpapi.bounded_json import is_deeper, to_json_of_client
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import api_resource
from storage.chat_records import MAX_DATA_BYTES, MAX_DATA_LEVELS
from storage.names import is_name

logger = logging.getLogger("gateway.http")

TITLE: Final = Meta(max_length=200, pattern=r"^[^\x00]*$")
MAX_RETENTION_DAYS: Final = 36_500
MAX_SLOW_MODE_S: Final = 86_400


class ChatChangeListener(Protocol):
    """Pushes changes of chats to connected clients. Implemented by `gateway.node.chat_changes`."""

    def chat_changed(self, chat_id: int) -> None:
        """Called after the commit. Never blocks."""
        ...


class ChatRemovalListener(Protocol):
    """Ends removed chats for connected clients. Implemented by `gateway.node.chat_removals`."""

    def chat_removed(self, chat_id: int) -> None:
        """Called after the commit; sockets in the chat are closed on every node. Never blocks."""
        ...


class ChatChangeBody(Struct, forbid_unknown_fields=True):
    """The changes of a chat; a field that is left out stays as it is.

    Null removes `data`, and lets the retention of all chats apply in place of `retention_days`.
    """

    title: Annotated[str, TITLE] | UnsetType = UNSET
    data: dict[str, Any] | UnsetType | None = UNSET
    frozen: bool | UnsetType = UNSET
    slow_mode_s: Annotated[int, Meta(ge=0, le=MAX_SLOW_MODE_S)] | UnsetType = UNSET
    retention_days: Annotated[int, Meta(ge=1, le=MAX_RETENTION_DAYS)] | UnsetType | None = UNSET

    def columns(self) -> dict[str, str | int | None]:
        """The columns and their new values.

        Raises: Problem (422).
        """
        columns: dict[str, str | int | None] = {}
        if self.title is not UNSET:
            columns["title"] = checked_title(self.title)
        if self.data is not UNSET:
            columns["data"] = checked_data(self.data)
        if self.frozen is not UNSET:
            columns["is_frozen"] = self.frozen
        if self.slow_mode_s is not UNSET:
            columns["slow_mode_s"] = self.slow_mode_s
        if self.retention_days is not UNSET:
            columns["retention_days"] = self.retention_days
        return columns


class OneChatRoutes:
    """`/api/v1/chats/{chat_id}`."""

    def __init__(
        self,
        actors: Actors,
        membership: Memberships,
        setup: ChatSetup,
        listener: ChatChangeListener,
        removals: RemovalLog,
        removal_listener: ChatRemovalListener,
    ) -> None:
        self._actors = actors
        self._removals = removals
        self._removal_listener = removal_listener
        self._membership = membership
        self._setup = setup
        self._listener = listener

    def routes(self) -> list[BaseRoute]:
        """The route."""
        return [api_resource("/api/v1/chats/{chat_id}", GET=self._show, PATCH=self._change, DELETE=self._remove)]

    @operation(
        "Get a chat, up to 1,000 of its members, and their read positions.",
        Audience.USER_OR_SERVICE,
        {200: ChatObject},
        {404: "not_found"},
        details="To a user who is not a member of a public chat its list of members is empty.",
        scope=Scope.CHATS,
    )
    async def _show(self, request: Request) -> Response:
        actor = await self._actors.of(request, self._show)
        return await self._answer(await self._actors.chat_id(request), actor)

    async def _answer(self, chat_id: int, actor: Actor) -> Response:
        """The chat as the caller sees it.

        Raises: Problem (404), StorageUnavailable.
        """
        chat = await self._membership.chat(chat_id, actor.user_id)
        if chat is None:
            raise not_found()
        shown = chat_object(chat)
        if actor.person is not None and all(member.person.id != actor.person.id for member in chat.members):
            shown["members"] = []  # a public chat must not list thousands of users to a stranger
        return answer(shown)

    @operation(
        "Change the title, data or rules of a chat.",
        Audience.USER_OR_SERVICE,
        {200: ChatObject},
        {403: "forbidden", 404: "not_found"},
        body=ChatChangeBody,
        example={"title": "Friends and family"},
        details="The owner and services may; moderators may change `frozen` and `slow_mode_s`. Fields that are left "
        "out stay as they are; `data` is replaced as a whole, null removes it. Every member who is connected receives "
        "`chat_changed`. Messages of this chat that are older than `retention_days` are removed; null: than "
        "`RETENTION_DAYS`, as in every chat. In a `frozen` chat only the owner, moderators and "
        "services write; with `slow_mode_s` other members send at most one message in so many seconds. "
        "A direct chat is changed by services only.",
        scope=Scope.CHATS,
    )
    async def _change(self, request: Request) -> Response:
        actor = await self._actors.of(request, self._change)
        chat_id = await self._actors.chat_id(request)
        columns = (await read_json(request, ChatChangeBody)).columns()
        if await self._setup.change(chat_id, actor.user_id, columns):
            self._listener.chat_changed(chat_id)
            fields = {"chat_id": chat_id, "fields": sorted(columns), **actor.log_fields}
            logger.info("chat_changed", extra={"fields": fields})
        else:
            note_unchanged()
        return await self._answer(chat_id, actor)

    @operation(
        "Remove a chat with everything in it; only the owner and services may.",
        Audience.USER_OR_SERVICE,
        {204: None},
        {403: "forbidden", 404: "not_found", 409: "conflict"},
        details="At once nobody sees the chat, and nothing is stored in it; its messages and members are deleted soon "
        "after. Its members receive `chat_removed`, and sockets in the chat are closed with 4403, within 5 s on every "
        "node. Its key may be used again. A direct chat is removed by services only; rooms and the public channel "
        "cannot be removed (409).",
        scope=Scope.CHATS,
    )
    async def _remove(self, request: Request) -> Response:
        actor = await self._actors.of(request, self._remove)
        chat_id = await self._actors.chat_id(request)
        await self._removals.remove(chat_id, actor.user_id)
        self._removal_listener.chat_removed(chat_id)
        logger.info("chat_removed", extra={"fields": {"chat_id": chat_id, **actor.log_fields}})
        return Response(status_code=HTTPStatus.NO_CONTENT)


def checked_title(title: str) -> str:
    """The title.

    Raises: Problem (422).
    """
    if title and not is_name(title):
        raise invalid_field("A title has visible characters, and no control or invisible ones.", "title")
    return title


def checked_data(data: dict[str, Any] | None) -> str:
    """The data of a chat as it is stored.

    Raises: Problem (422).
    """
    if data is None:
        return ""
    text = to_json_of_client(data)
    if text is None:
        raise beyond_64_bits("a chat")
    if len(text) > MAX_DATA_BYTES or is_deeper(text, MAX_DATA_LEVELS):
        detail = f"The data of a chat has at most {MAX_DATA_BYTES} bytes of JSON and {MAX_DATA_LEVELS} levels."
        raise invalid_field(detail, "data")
    return text.decode()
