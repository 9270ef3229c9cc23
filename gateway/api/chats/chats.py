"""Chats over HTTP: create one, get one."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.chat_access import Actor, Actors
from gateway.api.chats.lists import ChatListRoutes
from gateway.api.chats.members import MemberBody, MembershipListener, NamedMembers, unknown_user
from gateway.api.schemas import ChatObject, answer, chat_object
from gateway.http.call_limits import count_rows
from gateway.http.parameters import path_id
from gateway.http.problems import invalid_field, not_found, sentence
from gateway.interfaces.membership import Memberships
from gateway.node.policy.chat_policy import ChatPolicy
from httpapi.audit.facts import note, note_unchanged
from httpapi.body import read_json
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import api_resource
from storage.errors import InvalidMembers, StaffOnly, UnknownUser
from storage.names import is_name
from storage.records import Chat, ChatKind, NewMember, Person

logger = logging.getLogger("gateway.http")

MAX_TITLE: Final = 200
MAX_MEMBERS: Final = 1000
"""The most members in one call; more can be added later."""


class ChatBody(Struct, forbid_unknown_fields=True):
    """The chat to create."""

    kind: ChatKind
    title: Annotated[str, Meta(max_length=MAX_TITLE, pattern=r"^[^\x00]*$")] = ""
    members: Annotated[Sequence[MemberBody], Meta(max_length=MAX_MEMBERS)] = ()


class ChatRoutes:
    """`/api/v1/chats` and `/api/v1/chats/{chat_id}`."""

    def __init__(
        self,
        actors: Actors,
        names: NamedMembers,
        policy: ChatPolicy,
        membership: Memberships,
        listener: MembershipListener,
        lists: ChatListRoutes,
    ) -> None:
        self._lists = lists
        self._actors = actors
        self._names = names
        self._policy = policy
        self._membership = membership
        self._listener = listener

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [
            api_resource("/api/v1/chats", GET=self._lists.list_chats, POST=self._create),
            api_resource("/api/v1/chats/{chat_id}", GET=self._show),
            *self._lists.routes(),
        ]

    @operation(
        "Create a chat; the user who calls becomes its owner.",
        Audience.USER_OR_SERVICE,
        {201: ChatObject, 200: ChatObject},
        {403: "forbidden", 409: "quota_exceeded", 429: "rate_limited"},
        body=ChatBody,
        example={"kind": "group", "title": "Friends", "members": []},
        details='Members are named by `user_id` or by `login`: `[{"login": "bob"}]`; '
        "a service may name them by `sub`, the subject of their tokens. The caller may list itself to "
        "take a role. A second `direct` chat of the same two users returns the first one, with 200. A title "
        "has no control or invisible characters and is not blank; it may be left out or empty. With "
        "`STAFF_CHATS=service` only staff and services create `service` and `support` chats (403). `ALLOW_ADDING` and "
        "the users' block lists "
        "say who may be added; a user whom the caller may not add looks like one who does not exist. A service is no "
        "member of the chats that it creates, and they have no owner.",
        scope=Scope.CHATS,
    )
    async def _create(self, request: Request) -> Response:
        actor = await self._actors.of(request, self._create)
        body = await read_json(request, ChatBody)
        if body.title and not is_name(body.title):
            raise invalid_field("A title has visible characters, and no control or invisible ones.", "title")
        members = await self._names.new_members(body.members, actor)
        try:
            chat, is_new = await self._create_or_find(request, actor.person, body.kind, body.title, members)
        except UnknownUser as error:
            raise unknown_user(error) from None
        except InvalidMembers as error:
            raise invalid_field(sentence(error), "members") from None
        if is_new:
            self._listener.chat_created(chat.id, [member.person.id for member in chat.members])
            note(chat_id=chat.id, kind=chat.kind, members=len(chat.members))
            logger.info("chat_created", extra={"fields": {"chat_id": chat.id, **_creator(actor)}})
        else:
            note_unchanged()
        return answer(chat_object(chat), HTTPStatus.CREATED if is_new else HTTPStatus.OK)

    async def _create_or_find(
        self, request: Request, creator: Person | None, kind: ChatKind, title: str, members: Sequence[NewMember]
    ) -> tuple[Chat, bool]:
        """The chat, and whether it is new; an existing direct chat is found although its other user blocks the caller.

        Raises: Problem (429), StaffOnly, AddingForbidden, TooManyStrangers, UnknownUser, InvalidMembers.
        """
        creator_id = None if creator is None else creator.id
        if not await self._policy.may_create(creator_id, kind):
            raise StaffOnly
        if creator_id is not None and kind is ChatKind.DIRECT and len(members) == 1:
            existing = await self._membership.direct_chat(creator_id, members[0])
            if existing is not None:
                return existing, False
        await count_rows(request, chats=1, members=len(members) + (creator_id is not None))
        await self._policy.check_additions(creator, members)
        return await self._membership.create_chat(creator_id, kind, title, members)

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
        chat = await self._membership.chat(path_id(request, "chat_id"), actor.user_id)
        if chat is None:
            raise not_found()
        shown = chat_object(chat)
        if actor.person is not None and all(member.person.id != actor.person.id for member in chat.members):
            shown["members"] = []  # a public chat must not list thousands of users to a stranger
        return answer(shown)


def _creator(actor: Actor) -> dict[str, object]:
    fields: dict[str, object] = {} if actor.service is None else {"service": actor.service}
    return fields if actor.person is None else fields | {"user_id": actor.person.id}
