"""Seed 003's history: what the caller said in the echo channel, and was told there."""

from base64 import b64encode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from auth.operation import Caller, operation
from gateway.http.answers import answer
from gateway.http.messages import DEFAULT_LIMIT, LIMIT
from gateway.http.parameters import QueryNumber
from gateway.http.shapes import TranscriptLine, TranscriptPage
from gateway.identity import Identity
from gateway.transcripts import Transcripts
from storage.records import Line

_AFTER = QueryNumber("after", "the `next` of the page before")


class TranscriptRoutes:
    """`/history`."""

    def __init__(self, identity: Identity, transcripts: Transcripts) -> None:
        self._identity = identity
        self._transcripts = transcripts

    def routes(self) -> list[BaseRoute]:
        """The route."""
        return [Route("/history", self._history, methods=["GET"])]

    @operation(
        "What the caller said in the echo channel, and was told there.",
        Caller.USER,
        {200: TranscriptPage},
        {422: "invalid_field"},
        parameters=(_AFTER.said, LIMIT.said),
    )
    async def _history(self, request: Request) -> Response:
        caller = await self._identity.caller(request)
        after = _AFTER.read(request) or 0
        limit = LIMIT.read(request) or DEFAULT_LIMIT
        page = await self._transcripts.page(caller.person.id, after, limit)
        return answer({"messages": [_line_object(line) for line in page.lines], "next": page.next})


def _line_object(line: Line) -> TranscriptLine:
    """A line as clients see it; JSON has no bytes, so those of a binary message come in base64."""
    return {
        "id": line.id,
        "session_id": line.session_id,
        "direction": line.direction,
        "text": line.payload.decode() if line.is_text else b64encode(line.payload).decode(),
        "encoding": "utf-8" if line.is_text else "base64",
        "created_at": line.created_at,
    }
