"""A user's own logins that can be renewed: list them, and end one."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, TypedDict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from auth.accounts.sessions import Sessions
from auth.api import problems
from auth.api.answers import api_route, json_answer
from auth.api.callers import Callers
from httpapi.audit.facts import note
from httpapi.operation import Audience, operation
from storage.auth_records import MAX_USER_AGENT

_ID: Final = re.compile("[0-9a-f]{32}")


class OwnSession(TypedDict):
    """A login. `user_agent` is what its client called itself; `is_current`: the request's token is of this login."""

    id: str
    created_at: datetime
    used_at: datetime
    expires_at: datetime
    user_agent: str
    is_current: bool


class OwnSessions(TypedDict):
    """The user's logins, the last used first."""

    sessions: list[OwnSession]


class OwnSessionRoutes:
    """`/api/v1/me/sessions`."""

    def __init__(self, sessions: Sessions, callers: Callers) -> None:
        self._sessions = sessions
        self._callers = callers

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Implement `RouteGroup.routes`."""
        return [
            api_route("/api/v1/me/sessions", GET=self.list),
            api_route("/api/v1/me/sessions/{session_id}", DELETE=self.end),
        ]

    @operation(
        "List one's own logins that can be renewed.",
        Audience.USER,
        {200: OwnSessions},
        {403: "forbidden_origin, banned", 503: "unavailable"},
        details="`used_at` is the time of the login or of its last renewal. A user has at most 50.",
    )
    async def list(self, request: Request) -> Response:
        """The sessions of the caller."""
        claims = await self._callers.require(request)
        listed: list[OwnSession] = [
            {
                "id": each.session_id,
                "created_at": datetime.fromtimestamp(each.created_at, UTC),
                "used_at": datetime.fromtimestamp(each.used_at, UTC),
                "expires_at": datetime.fromtimestamp(each.expires_at, UTC),
                "user_agent": each.user_agent,
                "is_current": each.session_id == claims.session_id,
            }
            for each in await self._sessions.of_user(claims.user_id)
        ]
        return json_answer(OwnSessions(sessions=listed))

    @operation(
        "End one of one's own logins.",
        Audience.USER,
        {204: None},
        {403: "forbidden_origin, banned", 404: "not_found", 503: "unavailable"},
        details="It can be renewed no more, its access tokens are revoked, and its open sockets are closed within 5 s.",
    )
    async def end(self, request: Request) -> Response:
        """404 if it is none of the caller's."""
        claims = await self._callers.require(request)
        session_id = request.path_params["session_id"]
        if not _ID.fullmatch(session_id) or not await self._sessions.end_one(claims.user_id, session_id):
            raise problems.no_such_session()
        note(session=session_id)
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})


def user_agent(request: Request) -> str:
    """What the client calls itself, in at most MAX_USER_AGENT printable characters."""
    text = request.headers.get("user-agent", "")[:MAX_USER_AGENT]
    return "".join(character for character in text if character.isprintable())
