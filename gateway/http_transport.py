"""The HTTP protocol class that uvicorn runs: its own, with a bound on how long and how large a request may come in.

uvicorn waits for ever for the rest of a request, and httptools collects a header of any length. A WebSocket handshake
is such a request until it is complete; from then on `gateway.transport` has the socket.
"""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

REQUEST_S: Final = 10.0
"""From the connection, or from a further request's first byte, to the end of the request and its body (security.md)."""
MAX_HEAD_BYTES: Final = 64 * 1024
"""Request line and headers, as in h11."""


class HttpTransport(HttpToolsProtocol):
    """One socket, as long as it speaks HTTP. A client that is too slow or too verbose is cut without an answer."""

    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _is_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        """A client is there, and owes a request."""
        super().connection_made(transport)
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._cancel_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A part of a request came in, or several requests."""
        if self._deadline is None:
            self._expect_request()
        super().data_received(data)
        if self._is_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.abort()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The headers are there."""
        self._is_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is there, with its body."""
        self._cancel_deadline()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the socket over."""
        self._cancel_deadline()
        super().handle_websocket_upgrade()

    def _expect_request(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_S, self._overdue)

    def _overdue(self) -> None:
        if self.flow.read_paused:  # it is we who do not read: an earlier request is not answered yet
            self._expect_request()
        else:
            self.transport.abort()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
