"""The bytes of one HTTP connection, through gateway/transport on a transport that records."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Final

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from gateway.transport.http_protocol import MAX_UNREAD_BYTES, HttpProtocol
from gateway.transport.websocket_protocol import WebSocketProtocol
from httpapi.security_headers import HEADERS
from tests.fuzz.case import Case
from tests.fuzz.targets.http_grammar import connection
from tests.fuzz.targets.http_model import HttpModel, HttpRequest, Parsed, Rest
from tests.support.recorded_transport import Transport, settle

MAX_TURNS: Final = 20_000
_ERRORS: Final = {400, 414, 426, 431}
"""The statuses that the server itself sends."""


class ClosingTransport(Transport):
    """Reports its end, as an event loop's transport does."""

    def __init__(self, protocol: HttpProtocol) -> None:
        super().__init__()
        self._first = protocol

    def close(self) -> None:
        """End, and report it in the next turn."""
        self._end("close")

    def abort(self) -> None:
        """End, and report it in the next turn."""
        self._end("abort")

    def _end(self, how: str) -> None:
        if not self.is_closing():
            asyncio.get_running_loop().call_soon((self.protocol or self._first).connection_lost, None)
        self.ends.append(how)


class Http:
    """An application that responds to each request with its digest."""

    name = "http"
    cpu_s = 2.0

    def __init__(self) -> None:
        self._config = uvicorn.Config(
            self._app, http=HttpProtocol, ws=WebSocketProtocol, interface="asgi3", log_config=None
        )
        self._config.load()
        self._state = ServerState()
        self._seen: list[HttpRequest] = []

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})
            return
        seen, body, has_more = self._seen, b"", True
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, has_more = body + message["body"], message["more_body"]
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        request = HttpRequest(scope["method"].encode(), target, body)
        seen.append(request)
        await asyncio.sleep(0)  # so that pipelined requests wait
        headers = [(b"content-length", b"0"), (b"x-digest", _digest(request))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def case(self, random: Random) -> Case:
        """The reads of one connection."""
        return connection(random)

    async def check(self, case: Case) -> None:
        """The application sees the valid requests and none after a dubious one; responses are whole and in order."""
        expected = HttpModel(b"".join(case)).run()
        expected.requests = [_without_empty_query(request) for request in expected.requests]
        seen: list[HttpRequest] = []
        self._seen = seen
        http = HttpProtocol(self._config, self._state, {})
        transport = ClosingTransport(http)
        http.connection_made(transport)  # type: ignore[arg-type]
        try:
            await self._feed(http, transport, case)
        finally:
            transport.abort()
            await settle()
        _check_seen(seen, expected)
        if transport.protocol is None:
            _check_responses(transport.written, seen)

    async def _feed(self, http: HttpProtocol, transport: Transport, case: Case) -> None:
        """Deliver the reads as an event loop does: none while reading is paused, none after the end."""
        for read in case:
            await _until(lambda: transport.is_read or transport.is_closing())
            if transport.is_closing():
                return
            (transport.protocol or http).data_received(read)
            assert len(http._unread) <= MAX_UNREAD_BYTES, "too much input waits"
        await _until(lambda: transport.is_closing() or transport.protocol is not None or _is_idle(http))


def _is_idle(http: HttpProtocol) -> bool:
    """Whether every request that is complete has its response."""
    is_answered = http.cycle is None or http.cycle.response_complete or http.cycle.more_body
    return is_answered and not http.pipeline and not http.flow.is_held


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(MAX_TURNS):
        await settle()
        if condition():
            return
    raise AssertionError("input that waits is never handled")


def _without_empty_query(request: HttpRequest) -> HttpRequest:
    """As ASGI says it: a scope has no query or an empty one."""
    path, _, query = request.target.partition(b"?")
    return request if query else replace(request, target=path)


def _digest(request: HttpRequest) -> bytes:
    return hashlib.sha1(repr(request).encode(), usedforsecurity=False).hexdigest().encode()


def _check_seen(seen: list[HttpRequest], expected: Parsed) -> None:
    known = len(expected.requests)
    if expected.rest is Rest.UNSURE:
        seen = seen[:known]
    shown = f"seen: {seen}, expected: {expected}"
    if expected.rest in (Rest.PARTIAL, Rest.CLOSED):
        assert seen == expected.requests, shown
    else:  # a rejection ends the connection, and requests before it may have no response
        assert seen == expected.requests[: len(seen)], shown


def _check_responses(sent: bytes, seen: list[HttpRequest]) -> None:
    number = 0
    while sent:
        head, end, sent = sent.partition(b"\r\n\r\n")
        assert end, "half a response"
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        status = int(status_line.split(" ")[1])
        if status == 100:
            continue
        size = int(headers["content-length"])
        assert len(sent) >= size, "half a body"
        if status == 200:
            assert headers["x-digest"].encode() == _digest(seen[number]), "a response to another request"
            number += 1
        else:
            assert status in _ERRORS, status
            assert number == len(seen), "an error in place of an earlier response"
            assert len(sent) == size, "something follows an error"
            assert {name: headers.get(name.lower()) for name in HEADERS} == HEADERS
        sent = sent[size:]


@asynccontextmanager
async def open_http() -> AsyncIterator[Http]:
    """The target."""
    yield Http()
