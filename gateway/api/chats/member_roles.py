"""What a member of a chat may do, over HTTP: its role, and until when it is muted."""

import logging
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Protocol

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.chat_access import Actors
from gateway.api.schemas import MemberObject, answer, member_object
from gateway.http.parameters import path_id
from gateway.http.problems import invalid_field, not_found
from gateway.interfaces.membership import MemberRoles, Memberships
from httpapi.audit.facts import note, note_unchanged
from httpapi.body import read_json
from httpapi.operation import Audience, Scope, operation
from storage.errors import UnknownUser
from storage.records import Member, Role

logger = logging.getLogger("gateway.http")


class GivenRole(StrEnum):
    """A role that the owner gives; `owner` hands the chat over."""

    OWNER = "owner"
    MODERATOR = "moderator"
    MEMBER = "member"
    READER = "reader"


class MemberChangeBody(Struct, forbid_unknown_fields=True):
    """What to change of a member; what is left out stays as it is. `muted_until` null: no longer muted."""

    role: GivenRole | UnsetType = UNSET
    muted_until: Annotated[datetime, Meta(tz=True)] | UnsetType | None = UNSET

    @property
    def mute(self) -> int | None:
        """The end of the mute in Unix seconds, 0 for none; None if it is left out.

        Raises: Problem (422).
        """
        if self.muted_until is UNSET:
            return None
        if self.muted_until is None or self.muted_until <= datetime.now(UTC):
            return 0
        return int(self.muted_until.timestamp())


class MemberChangeListener(Protocol):
    """Pushes what members may do to connected clients. Implemented by `gateway.node.member_changes`."""

    def member_changed(self, chat_id: int, user_id: int, role: str, muted_until: int) -> None:
        """Called after the commit. Never blocks."""
        ...


class MemberRoleRoutes:
    """The PATCH of `/api/v1/chats/{chat_id}/members/{user_id}`."""

    def __init__(
        self, actors: Actors, membership: Memberships, roles: MemberRoles, listener: MemberChangeListener
    ) -> None:
        self._actors = actors
        self._membership = membership
        self._roles = roles
        self._listener = listener

    @operation(
        "Give a member a role, or mute it.",
        Audience.USER_OR_SERVICE,
        {200: MemberObject},
        {403: "forbidden", 404: "not_found", 409: "conflict", 422: "invalid_field"},
        body=MemberChangeBody,
        example={"role": "moderator"},
        details="The owner and services give roles and mute anyone but the owner; moderators mute those who are no "
        "moderators. `owner` hands the chat over. A `reader` may not write; a muted member may not until then. The "
        "roles of service and support chats stay as they were given (409), except for the owner. Everybody in the chat "
        "receives `member_changed`.",
        scope=Scope.CHATS,
    )
    async def change(self, request: Request) -> Response:
        """Change the member."""
        actor = await self._actors.of(request, self.change)
        chat_id, user_id = await self._actors.chat_id(request), path_id(request, "user_id")
        body = await read_json(request, MemberChangeBody)
        role, mute = None if body.role is UNSET else body.role, body.mute
        note(role=role, until=mute)
        try:
            if role is GivenRole.OWNER:
                if mute:
                    raise invalid_field("The owner of a chat cannot be muted.", "muted_until")
                is_changed = await self._membership.hand_over(chat_id, actor.user_id, user_id)
                member, _ = await self._roles.change(chat_id, None, user_id, None, None)
            else:
                wanted = None if role is None else Role(role)
                member, is_changed = await self._roles.change(chat_id, actor.user_id, user_id, wanted, mute)
        except UnknownUser:
            raise not_found() from None
        if is_changed:
            self._push(chat_id, member, is_owner=role is GivenRole.OWNER)
            logger.info(
                "member_changed", extra={"fields": {"chat_id": chat_id, "user_id": user_id, **actor.log_fields}}
            )
        else:
            note_unchanged()
        return answer(member_object(member))

    def _push(self, chat_id: int, member: Member, *, is_owner: bool) -> None:
        role = GivenRole.OWNER if is_owner else member.role
        self._listener.member_changed(chat_id, member.person.id, role, member.muted_until)
