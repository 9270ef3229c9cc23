"""A chat's members over HTTP: list them, add one, remove one, hand over ownership."""

import logging
from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import Annotated, Final, Protocol

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.chat_access import Actor, Actors, see_chat
from gateway.api.chats.member_roles import MemberRoleRoutes
from gateway.api.schemas import MemberList, MemberObject, answer, member_object
from gateway.authentication.credential_resolver import IdentityStore
from gateway.authentication.represented_users import MAX_SUBJECT
from gateway.http.call_limits import count_rows
from gateway.http.parameters import QueryCursor, QueryNumber, path_id
from gateway.http.problems import Problem, forbidden, invalid_field, not_found
from gateway.interfaces.membership import Memberships
from gateway.node.policy.chat_policy import ChatPolicy
from gateway.protocol.ids import MAX_ID
from httpapi.audit.facts import note, note_unchanged
from httpapi.body import read_json
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import api_resource
from storage.errors import UnknownUser
from storage.records import NewMember, Role

logger = logging.getLogger("gateway.http")

MAX_LOGIN: Final = 64
MAX_PAGE: Final = 100
LIMIT: Final = QueryNumber("limit", f"maximum number of entries; default {MAX_PAGE}", 1, MAX_PAGE)
_CURSOR: Final = QueryCursor("members")


class MembershipListener(Protocol):
    """Applies changes of members to connected clients. Implemented by `gateway.node.member_changes`."""

    def membership_changed(self, chat_id: int, user_id: int, removed: bool) -> None:
        """Called after the commit; on a removal the user's sockets are closed on every node. Never blocks."""
        ...

    def chat_created(self, chat_id: int, user_ids: Collection[int]) -> None:
        """Called after the commit; notifies these members of the new chat. Never blocks."""
        ...


class MemberBody(Struct, forbid_unknown_fields=True):
    """A user to add, named by id or by login, or by a service by `sub`, and its role."""

    user_id: Annotated[int, Meta(ge=1, le=MAX_ID)] | None = None
    login: Annotated[str, Meta(min_length=1, max_length=MAX_LOGIN, pattern=r"^[^\x00]*$")] | None = None
    sub: Annotated[str, Meta(min_length=1, max_length=MAX_SUBJECT, pattern=r"^[^\x00]*$")] | None = None
    role: Role | None = None


class NamedMembers:
    """Finds the users whom a request names as members. `issuer` is the external issuer's name, or empty."""

    def __init__(self, identities: IdentityStore, issuer: str) -> None:
        self._identities = identities
        self._issuer = issuer

    async def new_members(self, bodies: Sequence[MemberBody], actor: Actor) -> list[NewMember]:
        """The values for storage. A subject of the external issuer that is not known yet becomes a user.

        Raises: Problem (422 unless each has exactly one name; `sub` is for services only), StorageUnavailable.
        """
        for body in bodies:
            if [body.user_id, body.login, body.sub].count(None) != 2:
                raise invalid_field("A member is named by one of user_id, login and sub.")
            if body.sub is not None and (actor.service is None or not self._issuer):
                raise invalid_field("Only services name members by sub, where JWT_ISSUER is set.")
        return [NewMember(await self._user_id(body), body.login, body.role) for body in bodies]

    async def _user_id(self, body: MemberBody) -> int | None:
        if body.sub is None:
            return body.user_id
        return (await self._identities.person(self._issuer, body.sub, "")).id


class OwnerBody(Struct, forbid_unknown_fields=True):
    """The new owner of the chat, a member."""

    user_id: Annotated[int, Meta(ge=1, le=MAX_ID)]


class MemberRoutes:
    """`/api/v1/chats/{chat_id}/members`, `…/members/{user_id}`, `…/bars/{user_id}` and `…/owner`."""

    def __init__(
        self,
        actors: Actors,
        names: NamedMembers,
        policy: ChatPolicy,
        membership: Memberships,
        listener: MembershipListener,
        roles: MemberRoleRoutes,
    ) -> None:
        self._roles = roles
        self._actors = actors
        self._names = names
        self._policy = policy
        self._membership = membership
        self._listener = listener

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [
            api_resource("/api/v1/chats/{chat_id}/members", GET=self._list, POST=self._add),
            api_resource("/api/v1/chats/{chat_id}/members/{user_id}", PATCH=self._roles.change, DELETE=self._remove),
            api_resource("/api/v1/chats/{chat_id}/bars/{user_id}", DELETE=self._lift_bar),
            api_resource("/api/v1/chats/{chat_id}/owner", PUT=self._hand_over),
        ]

    @operation(
        "List the members of a chat, page by page.",
        Audience.USER_OR_SERVICE,
        {200: MemberList},
        {403: "forbidden", 404: "not_found", 422: "invalid_field"},
        parameters=(LIMIT.parameter, _CURSOR.parameter),
        details="In ascending order of `user_id`; pass `next` as `cursor` for the page after it. Members who come and "
        "go meanwhile repeat or hide no others. Only members and services may.",
        scope=Scope.CHATS,
    )
    async def _list(self, request: Request) -> Response:
        actor = await self._actors.of(request, self._list)
        chat_id = await self._actors.chat_id(request)
        limit, after = LIMIT.read(request) or MAX_PAGE, _CURSOR.read(request)
        if actor.user_id is not None and not (await see_chat(self._membership, chat_id, actor.user_id)).is_member:
            raise forbidden("Only its members may list the members of a chat.")
        page = await self._membership.member_page(chat_id, after, limit)
        if not page.items and await self._membership.chat(chat_id, actor.user_id) is None:
            raise not_found()
        members = [member_object(member) for member in page.items]
        return answer(MemberList(members=members, next=_CURSOR.text(page.next)))

    @operation(
        "Add a member. The chat's owner and services may add anyone; anyone may join a public chat.",
        Audience.USER_OR_SERVICE,
        {201: MemberObject, 200: MemberObject},
        {403: "forbidden", 404: "not_found", 409: "conflict, quota_exceeded", 429: "rate_limited"},
        body=MemberBody,
        example={"login": "bob"},
        details="The status is 200 if the user is a member already. A former member keeps the read position. A user "
        "who was removed from a public chat cannot join it (403) until the bar is lifted; the owner lifts it also by "
        "adding the user. "
        "`ALLOW_ADDING` and the users' block lists say who may be added; a user whom the caller may not add looks like "
        "one who does not exist. With `STAFF_CHATS=service` only staff and services give the roles `master` and "
        "`support`.",
        scope=Scope.CHATS,
    )
    async def _add(self, request: Request) -> Response:
        actor = await self._actors.of(request, self._add)
        chat_id = await self._actors.chat_id(request)
        body = await read_json(request, MemberBody)
        await count_rows(request, members=1)
        (new,) = await self._names.new_members([body], actor)
        note(user_id=new.user_id, role=new.role)
        gives_staff_roles = await self._policy.gives_staff_roles(actor.user_id)
        try:
            if actor.user_id is not None and not self._policy.joins(actor.person, new):
                # First, so that those who may not add anyone cannot try out names.
                await self._membership.check_owner(chat_id, actor.user_id)
                await self._policy.check_additions(actor.person, [new])
            member, is_new = await self._membership.add_member(
                chat_id, actor.user_id, new, gives_staff_roles=gives_staff_roles
            )
        except UnknownUser as error:
            raise unknown_user(error) from None
        note(user_id=member.person.id, role=member.role)
        if is_new:
            self._changed("member_added", chat_id, actor, member.person.id, removed=False)
        else:
            note_unchanged()
        return answer(member_object(member), HTTPStatus.CREATED if is_new else HTTPStatus.OK)

    @operation(
        "Remove a member. The owner, moderators and services may remove others; members may remove themselves.",
        Audience.USER_OR_SERVICE,
        {204: None},
        {403: "forbidden", 404: "not_found", 409: "conflict"},
        details="Moderators may not remove the owner nor each other. "
        "The member can no longer send at once, and receives nothing after at most 5 s, on every node. When "
        "the owner leaves, the oldest member becomes the owner (in service and support chats, a client only if no "
        "other member is left). A member whom someone else removes from a public chat may not join it again until the "
        "bar is lifted.",
        scope=Scope.CHATS,
    )
    async def _remove(self, request: Request) -> Response:
        actor = await self._actors.of(request, self._remove)
        chat_id, user_id = await self._actors.chat_id(request), path_id(request, "user_id")
        try:
            new_owner_id = await self._membership.remove_member(chat_id, actor.user_id, user_id)
        except UnknownUser:
            raise not_found() from None
        self._changed("member_removed", chat_id, actor, user_id, removed=True)
        if new_owner_id is not None:
            note(new_owner_id=new_owner_id)
            _log_change("owner_changed", chat_id, actor, new_owner_id)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @operation(
        "Let a user who was removed from a public chat join it again.",
        Audience.USER_OR_SERVICE,
        {204: None},
        {403: "forbidden", 404: "not_found", 409: "conflict"},
        details="The owner, services and the user who removed them may; 404 if the user is not barred.",
        scope=Scope.CHATS,
    )
    async def _lift_bar(self, request: Request) -> Response:
        actor = await self._actors.of(request, self._lift_bar)
        chat_id, user_id = await self._actors.chat_id(request), path_id(request, "user_id")
        try:
            await self._membership.lift_bar(chat_id, actor.user_id, user_id)
        except UnknownUser:
            raise not_found() from None
        _log_change("bar_lifted", chat_id, actor, user_id)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @operation(
        "Hand over ownership to another member; only the owner and services may.",
        Audience.USER_OR_SERVICE,
        {204: None},
        {403: "forbidden", 404: "not_found", 409: "conflict", 422: "invalid_field"},
        body=OwnerBody,
        example={"user_id": 2},
        details="The owner adds and removes members; ownership changes no role. A direct chat has no owner (409).",
        scope=Scope.CHATS,
    )
    async def _hand_over(self, request: Request) -> Response:
        actor = await self._actors.of(request, self._hand_over)
        chat_id = await self._actors.chat_id(request)
        body = await read_json(request, OwnerBody)
        note(user_id=body.user_id)
        try:
            is_new = await self._membership.hand_over(chat_id, actor.user_id, body.user_id)
        except UnknownUser:
            raise invalid_field(f"The user {body.user_id} is not a member of this chat.", "user_id") from None
        if is_new:
            _log_change("owner_changed", chat_id, actor, body.user_id)
        else:
            note_unchanged()
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _changed(self, event: str, chat_id: int, actor: Actor, user_id: int, *, removed: bool) -> None:
        _log_change(event, chat_id, actor, user_id)
        self._listener.membership_changed(chat_id, user_id, removed)


def _log_change(event: str, chat_id: int, actor: Actor, user_id: int) -> None:
    logger.info(event, extra={"fields": {"chat_id": chat_id, "user_id": user_id, **actor.log_fields}})


def unknown_user(error: UnknownUser) -> Problem:
    """A user whom the body names does not exist."""
    name = f"id {error.who}" if isinstance(error.who, int) else f'login "{error.who}"'
    return invalid_field(f"There is no user with the {name}.")
