"""Whether users are online, over HTTP: those with whom the caller shares a chat, or any for a service."""

from datetime import datetime
from typing import Final, TypedDict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.chat_access import Actors, limit_command
from gateway.api.schemas import answer
from gateway.dialects.chat import user_presence_object
from gateway.http.problems import invalid_field
from gateway.node.online.online_users import OnlineUsers
from gateway.protocol.commands import MAX_USERS, GetUsersPresence
from gateway.protocol.ids import id_in
from gateway.sessions.command_limits import CommandLimits
from httpapi.operation import Audience, Parameter, Scope, operation
from httpapi.resource import api_resource

_IDS: Final = Parameter("ids", f"1 to {MAX_USERS} user ids, by comma", {"type": "string"})


class UserPresenceObject(TypedDict):
    """Whether a user has a socket; `last_seen_at` is null for one who is online or was never seen."""

    user_id: int
    online: bool
    last_seen_at: datetime | None


class UserPresenceList(TypedDict):
    """The users in the order of the request."""

    users: list[UserPresenceObject]


class UserPresenceRoutes:
    """`/api/v1/users/presence`."""

    def __init__(self, actors: Actors, online: OnlineUsers, limits: CommandLimits) -> None:
        self._actors = actors
        self._online = online
        self._limits = limits

    def routes(self) -> list[BaseRoute]:
        """The route."""
        return [api_resource("/api/v1/users/presence", GET=self._show)]

    @operation(
        "Show whether users are online, on any node.",
        Audience.USER_OR_SERVICE,
        {200: UserPresenceList},
        {422: "invalid_field", 429: "rate_limited"},
        parameters=(_IDS,),
        details="Users with whom the caller shares only public chats or none, or who have blocked the caller, are "
        "offline and were never seen, like those who do not exist. A user is online until 5 s after the last socket "
        "has closed.",
        scope=Scope.USERS,
    )
    async def _show(self, request: Request) -> Response:
        actor = await self._actors.of(request, self._show)
        ids = [id_in(part) for text in request.query_params.getlist("ids") for part in text.split(",", MAX_USERS)]
        user_ids = [user_id for user_id in ids if user_id is not None]
        if len(user_ids) < len(ids) or not 1 <= len(ids) <= MAX_USERS:
            raise invalid_field(f"ids has 1 to {MAX_USERS} ids of users, by comma.")
        limit_command(self._limits, actor, GetUsersPresence(user_ids))
        users = await self._online.states(user_ids, actor.user_id)
        return answer({"users": [user_presence_object(user) for user in users]})
