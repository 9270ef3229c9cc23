"""Native commands over HTTP, for clients that read an event stream: one command a request, on any node."""

import uuid
from contextlib import nullcontext
from http import HTTPStatus
from typing import Any, Final

from msgspec import UNSET, defstruct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.chat_access import Actors
from gateway.api.messages import COUNT_LIMIT, counts
from gateway.api.schemas import CommandReply
from gateway.dialects.native import KEYS, NativeDialect
from gateway.http.problems import Problem
from gateway.protocol.codes import ErrorCode
from gateway.protocol.commands import GetHistory
from gateway.protocol.replies import ErrorReply
from gateway.sessions.context import Peer, SessionContext
from gateway.sessions.stream import OneCommand
from httpapi.body import MAX_BODY_BYTES, read_bytes
from httpapi.caller_turns import CallerTurns
from httpapi.errors import retry_later
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import api_resource
from storage.auth_records import Credential

ELSEWHERE: Final = frozenset({"subscribe", "unsubscribe", "subscribe_presence", "refresh"})
"""Commands of sockets only."""
_KEYS: Final = {"message"}.union(*(keys for name, keys in KEYS.items() if name not in ELSEWHERE)) - {"type"}
CommandBody: Final = defstruct(
    "CommandBody",
    [("type", str), *((name, Any, UNSET) for name in sorted(_KEYS))],
    namespace={"__doc__": "A command of the native protocol; its `type` decides which other fields it may have."},
    forbid_unknown_fields=True,
)
"""Describes the body; the dialect decodes it."""
_STATUSES: Final = {
    ErrorCode.INVALID_JSON: HTTPStatus.BAD_REQUEST,
    ErrorCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorCode.BANNED: HTTPStatus.FORBIDDEN,
    ErrorCode.CONFLICT: HTTPStatus.CONFLICT,
    ErrorCode.ID_REUSED: HTTPStatus.CONFLICT,
    ErrorCode.EDIT_LIMIT: HTTPStatus.CONFLICT,
    ErrorCode.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""422 for other codes: the command is not valid."""


class CommandDialect(NativeDialect):
    """The native protocol, in which a command without an `id` is answered as one that has an `id`."""

    name = "http"
    acks_without_id = True


class CommandRoutes:
    """`/api/v1/commands`. `reads` are the turns of the lists and pages of a user."""

    def __init__(self, actors: Actors, context: SessionContext, dialect: CommandDialect, reads: CallerTurns) -> None:
        self._actors = actors
        self._context = context
        self._dialect = dialect
        self._reads = reads

    def routes(self) -> list[BaseRoute]:
        """The route."""
        return [api_resource("/api/v1/commands", POST=self._run)]

    @operation(
        "Execute one command of the native protocol.",
        Audience.USER_OR_SERVICE,
        {200: CommandReply},
        {
            403: "forbidden",
            404: "not_found",
            409: "id_reused, edit_limit",
            422: "empty_text, text_too_long, invalid_text, unknown_type",
            429: "rate_limited",
        },
        parameters=(COUNT_LIMIT,),
        body=CommandBody,
        example={"type": "ping", "id": 1},
        details="The commands of `/ws/{client_id}`, for clients that read `/sse/{client_id}`: any node takes them, and "
        "none needs a stream. The response is the reply that a socket gets. `subscribe` and `unsubscribe` are left to "
        "the URL of a stream. Send a message again with the same `client_msg_id` if there is no response.",
        scope=Scope.MESSAGES,
    )
    async def _run(self, request: Request) -> Response:
        person, actor = await self._actors.user(request, self._run)
        body = await read_bytes(request, "application/json", MAX_BODY_BYTES)
        peer = Peer(self._dialect, person, Credential(person.id, 0), uuid.uuid4().hex)
        is_limited = counts(request) or actor.service is None
        session = OneCommand(self._context, peer, is_limited=is_limited)
        decoded = self._dialect.decode(body, True)
        # Pages are read two of a user at a time, as by the other calls that read them.
        is_read = not isinstance(decoded, ErrorReply) and isinstance(decoded.command, GetHistory)
        async with self._reads.turn(person.id) if is_read else nullcontext():
            reply, command = await session.run(decoded)
        if isinstance(reply, ErrorReply):
            raise _problem(reply)
        return Response(self._dialect.reply(reply, command), media_type="application/json")


def _problem(error: ErrorReply) -> Problem:
    status = _STATUSES.get(error.code, HTTPStatus.UNPROCESSABLE_ENTITY)
    detail = f"{error.message}."
    if error.retry_after_s is not None or status is HTTPStatus.SERVICE_UNAVAILABLE:
        return retry_later(status, error.code, detail, error.retry_after_s or 1)
    return Problem(status, error.code, detail)
