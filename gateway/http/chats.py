"""Chats over HTTP: make one, list one's own, look at one."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from auth.operation import Caller, operation
from gateway.http.answers import answer
from gateway.http.bodies import read_body
from gateway.http.chat_objects import chat_object
from gateway.http.members import MemberBody, MembershipListener
from gateway.http.parameters import path_id
from gateway.http.resources import resource
from gateway.http.shapes import ChatList, ChatObject, OwnChatObject
from gateway.identity import Identity
from gateway.membership import Membership
from gateway.problems import invalid_field, not_found
from storage.errors import InvalidMembers, UnknownUser
from storage.records import ChatKind

logger = logging.getLogger("gateway.http")

MAX_TITLE: Final = 200
MAX_MEMBERS: Final = 1000
"""In one call; more can be added later."""


class ChatBody(Struct):
    """What a new chat should be."""

    kind: ChatKind
    title: Annotated[str, Meta(max_length=MAX_TITLE, pattern=r"^[^\x00]*$")] = ""
    members: Annotated[Sequence[MemberBody], Meta(max_length=MAX_MEMBERS)] = ()


class ChatRoutes:
    """`/api/v1/chats` and `/api/v1/chats/{chat_id}`."""

    def __init__(self, identity: Identity, membership: Membership, listener: MembershipListener) -> None:
        self._identity = identity
        self._membership = membership
        self._listener = listener

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [
            resource("/api/v1/chats", GET=self._list, POST=self._create),
            resource("/api/v1/chats/{chat_id}", GET=self._show),
        ]

    @operation("List one's chats.", Caller.USER, {200: ChatList})
    async def _list(self, request: Request) -> Response:
        caller = await self._identity.caller(request)
        chats = await self._membership.chats_of(caller.person.id)
        own: list[OwnChatObject] = [{**chat_object(chat), "unread": chat.unread} for chat in chats]
        return answer(ChatList(chats=own))

    @operation(
        "Make a chat; the caller is a member of it.",
        Caller.USER,
        {201: ChatObject, 200: ChatObject},
        body=ChatBody,
        example={"kind": "group", "title": "Friends", "members": [{"login": "bob"}]},
        details="A second `direct` chat of the same two is the first one, with 200. A member is named by `user_id` or "
        "by `login`; the caller may list itself to take a role.",
    )
    async def _create(self, request: Request) -> Response:
        caller = await self._identity.caller(request)
        body = await read_body(request, ChatBody)
        members = [member.new_member() for member in body.members]
        try:
            chat, is_new = await self._membership.create_chat(caller.person.id, body.kind, body.title, members)
        except UnknownUser as error:
            raise invalid_field(f"members: there is no user {error.who!r}.") from None
        except InvalidMembers as error:
            raise invalid_field(f"members: {error.reason}.") from None
        if is_new:
            self._listener.chat_created(chat.id, [member.person.id for member in chat.members])
            logger.info("chat_created", extra={"fields": {"chat_id": chat.id, "user_id": caller.person.id}})
        return answer(chat_object(chat), HTTPStatus.CREATED if is_new else HTTPStatus.OK)

    @operation("Look at a chat, with every member's read position.", Caller.USER, {200: ChatObject}, {404: "not_found"})
    async def _show(self, request: Request) -> Response:
        caller = await self._identity.caller(request)
        chat = await self._membership.chat(path_id(request, "chat_id"), caller.person.id)
        if chat is None:
            raise not_found()
        return answer(chat_object(chat))
