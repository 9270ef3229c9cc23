"""Seed 003's history: what the caller said in the echo channel, and was told there."""

from base64 import b64encode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.http.answers import answer
from gateway.http.messages import DEFAULT_LIMIT
from gateway.http.parameters import query_number
from gateway.identity import Identity
from gateway.messages import MAX_HISTORY
from gateway.transcripts import Transcripts
from storage.records import Line


class TranscriptRoutes:
    """`/history`."""

    def __init__(self, identity: Identity, transcripts: Transcripts) -> None:
        self._identity = identity
        self._transcripts = transcripts

    def routes(self) -> list[BaseRoute]:
        """The route."""
        return [Route("/history", self._history, methods=["GET"])]

    async def _history(self, request: Request) -> Response:
        caller = await self._identity.caller(request)
        after = query_number(request, "after") or 0
        limit = query_number(request, "limit", 1, MAX_HISTORY) or DEFAULT_LIMIT
        page = await self._transcripts.page(caller.person.id, after, limit)
        return answer({"messages": [_line_object(line) for line in page.lines], "next": page.next})


def _line_object(line: Line) -> dict[str, object]:
    """A line as clients see it; JSON has no bytes, so those of a binary message come in base64."""
    return {
        "id": line.id,
        "session_id": line.session_id,
        "direction": line.direction,
        "text": line.payload.decode() if line.is_text else b64encode(line.payload).decode(),
        "encoding": "utf-8" if line.is_text else "base64",
        "created_at": line.created_at,
    }
