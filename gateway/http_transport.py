"""The HTTP protocol class that uvicorn runs: its own, with bounds on how a request comes in and its answer goes out.

uvicorn waits for ever for the rest of a request, and for a client to take the answer; httptools collects a header of
any length. A WebSocket handshake is such a request until it is complete; then `gateway.transport` has the socket.

Keeps: no client holds a socket for longer than these bounds by sending or reading slowly, whatever else it does.
"""

import asyncio
import sys
from typing import Final

from httptools import HttpParserUpgrade
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.plain_handshake import plain_handshake
from gateway.transport import Transport

HEAD_S: Final = 10.0
"""From the connection, or from a further request's first byte, to the end of its headers (security.md)."""
BODY_S: Final = 30.0
"""From there to the end of the body. Applications have shorter bounds of their own, and the time to answer 408."""
STALL_S: Final = 30.0
"""For a client to take what the kernel has not taken of its answer: beyond what a socket buffers, often megabytes."""
MAX_HEAD_BYTES: Final = 64 * 1024
"""Request line and headers, as in h11, beyond the read that brings their beginning."""


class HttpTransport(HttpToolsProtocol):
    """One socket, as long as it speaks HTTP. A client that is too slow or too verbose is cut without an answer."""

    _request_timer: asyncio.TimerHandle | None = None
    _answer_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _read_bytes = 0
    _is_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        """A client is there, and owes a request."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # so that we are told of every byte that waits, closing or not
        self._expect_request_within(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._cancel_request_timer()
        self._cancel_answer_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A part of a request came in, or several requests."""
        if self._request_timer is None:
            self._expect_request_within(HEAD_S)
        if self._is_head:
            self._head_bytes += len(data)
        self._read_bytes = len(data)
        super().data_received(data)
        if self._is_head and self._head_bytes > MAX_HEAD_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The headers are there."""
        self._is_head = False
        self._expect_request_within(BODY_S)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is there, with its body."""
        self._cancel_request_timer()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the socket over as it was made; its request is complete, so that no bound is left on that."""
        upgrade = sys.exception()  # httptools' way to say so, and after how many bytes
        if isinstance(upgrade, HttpParserUpgrade) and upgrade.args[0] < self._read_bytes:
            # A body, or frames ahead of the answer (RFC 6455 §4.1), which uvicorn drops silently.
            self.send_400_response("Nothing may follow the request for a WebSocket until it is answered.")
            return
        if self.flow.write_paused or not (self.cycle is None or self.cycle.response_complete):
            self.transport.abort()  # the answer to an earlier request would come in the middle of frames
            return
        self.transport.set_write_buffer_limits()
        is_get = self.parser.get_method() == b"GET" and self.parser.get_http_version() == "1.1"
        handshake = plain_handshake(self.url, self.headers) if is_get else None
        if handshake is None:
            super().handle_websocket_upgrade()
            return
        self.connections.discard(self)
        transport = Transport(self.config, self.server_state, self.app_state, self.loop)
        transport.begin(self, handshake)
        self.transport.set_protocol(transport)

    def pause_writing(self) -> None:
        """The kernel does not take all of an answer at once."""
        super().pause_writing()
        self._answer_timer = self.loop.call_later(STALL_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The kernel has taken all that there was."""
        self._cancel_answer_timer()
        super().resume_writing()

    def _expect_request_within(self, bound_s: float) -> None:
        self._cancel_request_timer()
        self._request_timer = self.loop.call_later(bound_s, self._request_overdue)

    def _request_overdue(self) -> None:
        if self.flow.read_paused:  # it is we who do not read: an earlier request is not answered yet
            self._expect_request_within(BODY_S)
        else:
            self.transport.abort()

    def _cancel_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _cancel_answer_timer(self) -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None
