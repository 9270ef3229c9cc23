"""Chats over HTTP: create one."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.chat_access import Actor, Actors
from gateway.api.chats.lists import ChatListRoutes
from gateway.api.chats.members import MemberBody, MembershipListener, NamedMembers, unknown_user
from gateway.api.chats.one_chat import TITLE, checked_data, checked_title
from gateway.api.schemas import ChatObject, answer, chat_object
from gateway.http.call_limits import count_rows
from gateway.http.problems import forbidden, invalid_field, sentence
from gateway.interfaces.membership import Memberships
from gateway.node.policy.chat_policy import ChatPolicy
from httpapi.audit.facts import note, note_unchanged
from httpapi.body import read_json
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import api_resource
from storage.chat_records import MAX_KEY
from storage.errors import InvalidMembers, StaffOnly, UnknownUser
from storage.records import Chat, ChatKind, NewMember, Person

logger = logging.getLogger("gateway.http")

MAX_MEMBERS: Final = 1000
"""The most members in one call; more can be added later."""


class ChatBody(Struct, forbid_unknown_fields=True):
    """The chat to create."""

    kind: ChatKind
    title: Annotated[str, TITLE] = ""
    members: Annotated[Sequence[MemberBody], Meta(max_length=MAX_MEMBERS)] = ()
    key: Annotated[str, Meta(min_length=1, max_length=MAX_KEY, pattern=r"^[A-Za-z0-9._~:@+-]*$")] | None = None
    data: dict[str, Any] | None = None


class ChatRoutes:
    """`/api/v1/chats`."""

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
            *self._lists.routes(),
        ]

    @operation(
        "Create a chat; the user who calls becomes its owner.",
        Audience.USER_OR_SERVICE,
        {201: ChatObject, 200: ChatObject},
        {403: "forbidden", 409: "quota_exceeded, key_taken", 429: "rate_limited"},
        body=ChatBody,
        example={"kind": "group", "title": "Friends", "members": []},
        details='Members are named by `user_id` or by `login`: `[{"login": "bob"}]`; '
        "a service may name them by `sub`, the subject of their tokens. The caller may list itself to "
        "take a role. A second `direct` chat of the same two users returns the first one, with 200. A title "
        "has no control or invisible characters and is not blank; it may be left out or empty. With "
        "`STAFF_CHATS=service` only staff and services create `service` and `support` chats (403). `ALLOW_ADDING` and "
        "the users' block lists "
        "say who may be added; a user whom the caller may not add looks like one who does not exist. A service is no "
        "member of the chats that it creates, and they have no owner. It may give a chat a `key`: a second call with "
        "the same `key` returns the first chat unchanged, with 200, and `key:` and the key stand for the id in every "
        "path. 409 `key_taken`: the user for whom the service acts may not see the chat with this key, or the direct "
        "chat has another key. `data` is a JSON object of the application, at most 16 KiB and 8 levels deep.",
        scope=Scope.CHATS,
    )
    async def _create(self, request: Request) -> Response:
        actor = await self._actors.of(request, self._create)
        body = await read_json(request, ChatBody)
        if body.key is not None and actor.service is None:
            raise forbidden("Only services give chats a key.")
        title, data = checked_title(body.title), checked_data(body.data)
        members = await self._names.new_members(body.members, actor)
        try:
            chat, is_new = await self._create_or_find(request, actor.person, body, title, data, members)
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
        self,
        request: Request,
        creator: Person | None,
        body: ChatBody,
        title: str,
        data: str,
        members: Sequence[NewMember],
    ) -> tuple[Chat, bool]:
        """The chat, and whether it is new; an existing direct chat is found although its other user blocks the caller.

        Raises: Problem (429), StaffOnly, AddingForbidden, TooManyStrangers, UnknownUser, InvalidMembers, KeyTaken.
        """
        kind, key = body.kind, body.key
        creator_id = None if creator is None else creator.id
        if key is not None and (keyed := await self._membership.keyed_chat(key, creator_id)) is not None:
            return keyed, False
        if not await self._policy.may_create(creator_id, kind):
            raise StaffOnly
        if creator_id is not None and kind is ChatKind.DIRECT and len(members) == 1:
            existing = await self._membership.direct_chat(creator_id, members[0])
            if existing is not None and existing.key == (key or existing.key):
                return existing, False
        await count_rows(request, chats=1, members=len(members) + (creator_id is not None))
        await self._policy.check_additions(creator, members)
        return await self._membership.create_chat(creator_id, kind, title, members, key=key, data=data)


def _creator(actor: Actor) -> dict[str, object]:
    fields: dict[str, object] = {} if actor.service is None else {"service": actor.service}
    return fields if actor.person is None else fields | {"user_id": actor.person.id}
