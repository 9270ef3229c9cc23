"""A chat's members over HTTP: add one, remove one."""

import logging
from collections.abc import Collection
from http import HTTPStatus
from typing import Annotated, Final, Protocol

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from auth.operation import Caller, operation
from gateway.codes import ErrorCode
from gateway.http.answers import answer
from gateway.http.bodies import read_body
from gateway.http.chat_objects import member_object
from gateway.http.parameters import path_id
from gateway.http.shapes import MemberObject
from gateway.identity import Identity
from gateway.membership import Membership
from gateway.messages import MAX_ID
from gateway.problems import Problem, forbidden, invalid_field, not_found
from storage.errors import InvalidMembers, NoSuchChat, NotAllowed, UnknownUser
from storage.records import NewMember, Role

logger = logging.getLogger("gateway.http")

MAX_LOGIN: Final = 64


class MembershipListener(Protocol):
    """Who makes a change of members felt. `gateway.node.Node` meets it."""

    def membership_changed(self, chat_id: int, user_id: int, removed: bool) -> None:
        """The change is in the database; on a removal the user's sockets close everywhere. Never blocks."""
        ...

    def chat_created(self, chat_id: int, user_ids: Collection[int]) -> None:
        """The chat is in the database, with these members; they hear of it. Never blocks."""
        ...


class MemberBody(Struct):
    """A user to add, named by id or by login, and its role."""

    user_id: Annotated[int, Meta(ge=1, le=MAX_ID)] | None = None
    login: Annotated[str, Meta(min_length=1, max_length=MAX_LOGIN, pattern=r"^[^\x00]*$")] | None = None
    role: Role | None = None

    def new_member(self) -> NewMember:
        """The same for storage.

        Raises: Problem (422 unless it names exactly one of the two).
        """
        if (self.user_id is None) == (self.login is None):
            raise invalid_field("A member is named by either user_id or login.")
        return NewMember(self.user_id, self.login, self.role)


class MemberRoutes:
    """`/api/v1/chats/{chat_id}/members` and `…/members/{user_id}`."""

    def __init__(self, identity: Identity, membership: Membership, listener: MembershipListener) -> None:
        self._identity = identity
        self._membership = membership
        self._listener = listener

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [
            Route("/api/v1/chats/{chat_id}/members", self._add, methods=["POST"]),
            Route("/api/v1/chats/{chat_id}/members/{user_id}", self._remove, methods=["DELETE"]),
        ]

    @operation(
        "Add a member; only the chat's creator may, and whoever joins a public chat.",
        Caller.USER,
        {201: MemberObject, 200: MemberObject},
        {403: "forbidden", 404: "not_found", 409: "conflict"},
        body=MemberBody,
        example={"login": "bob"},
        details="200 if the user is a member already.",
    )
    async def _add(self, request: Request) -> Response:
        actor = (await self._identity.caller(request)).person
        chat_id = path_id(request, "chat_id")
        new = (await read_body(request, MemberBody)).new_member()
        try:
            member, is_new = await self._membership.add_member(chat_id, actor.id, new)
        except NoSuchChat:
            raise not_found() from None
        except NotAllowed:
            raise forbidden("Only the chat's creator may add members.") from None
        except UnknownUser as error:
            raise invalid_field(f"There is no user {error.who!r}.") from None
        except InvalidMembers as error:
            raise _unfitting(error) from None
        if is_new:
            self._changed("member_added", chat_id, actor.id, member.person.id, removed=False)
        return answer(member_object(member), HTTPStatus.CREATED if is_new else HTTPStatus.OK)

    @operation(
        "End a membership: the creator ends anyone's, anyone its own.",
        Caller.USER,
        {204: None},
        {403: "forbidden", 404: "not_found", 409: "conflict"},
        details="What the member sends is refused at once; what it receives ends within 5 s, on every node.",
    )
    async def _remove(self, request: Request) -> Response:
        actor = (await self._identity.caller(request)).person
        chat_id, user_id = path_id(request, "chat_id"), path_id(request, "user_id")
        try:
            await self._membership.remove_member(chat_id, actor.id, user_id)
        except (NoSuchChat, UnknownUser):
            raise not_found() from None
        except NotAllowed:
            raise forbidden("Only the chat's creator may remove others.") from None
        except InvalidMembers as error:
            raise _unfitting(error) from None
        self._changed("member_removed", chat_id, actor.id, user_id, removed=True)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _changed(self, event: str, chat_id: int, actor_id: int, user_id: int, *, removed: bool) -> None:
        logger.info(event, extra={"fields": {"chat_id": chat_id, "user_id": user_id, "actor_id": actor_id}})
        self._listener.membership_changed(chat_id, user_id, removed)


def _unfitting(error: InvalidMembers) -> Problem:
    """The chat's kind does not allow this change."""
    return Problem(HTTPStatus.CONFLICT, ErrorCode.CONFLICT, f"{error.reason.capitalize()}.")
