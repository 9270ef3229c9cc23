"""Seed 003's history: the caller's messages in the echo channel and the channel's replies."""

from base64 import b64encode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.api.messages import DEFAULT_LIMIT, LIMIT
from gateway.api.schemas import TranscriptEntry, TranscriptPage, answer
from gateway.authentication.authenticator import Authenticator
from gateway.http.parameters import QueryNumber
from gateway.interfaces.transcripts import Transcripts
from httpapi.caller_turns import CallerTurns
from httpapi.operation import Audience, operation
from storage.records import Line

_AFTER = QueryNumber("after", "the `next` of the previous page")


class TranscriptRoutes:
    """`/history`."""

    def __init__(self, identity: Authenticator, transcripts: Transcripts, reads: CallerTurns) -> None:
        self._identity = identity
        self._reads = reads
        self._transcripts = transcripts

    def routes(self) -> list[BaseRoute]:
        """The route."""
        return [Route("/history", self._history, methods=["GET"])]

    @operation(
        "List the caller's messages in the echo channel, in both directions.",
        Audience.USER,
        {200: TranscriptPage},
        {422: "invalid_field", 429: "rate_limited"},
        parameters=(_AFTER.parameter, LIMIT.parameter),
    )
    async def _history(self, request: Request) -> Response:
        caller = await self._identity.caller(request)
        after = _AFTER.read(request) or 0
        limit = LIMIT.read(request) or DEFAULT_LIMIT
        async with self._reads.turn(caller.person.id):
            page = await self._transcripts.page(caller.person.id, after, limit)
        return answer({"messages": [_line_object(line) for line in page.lines], "next": page.next})


def _line_object(line: Line) -> TranscriptEntry:
    """A line in the clients' format; the payload of a binary message is encoded in base64."""
    return {
        "id": line.id,
        "session_id": line.session_id,
        "direction": line.direction,
        "text": line.payload.decode() if line.is_text else b64encode(line.payload).decode(),
        "encoding": "utf-8" if line.is_text else "base64",
        "created_at": line.created_at,
    }
