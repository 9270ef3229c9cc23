"""uvicorn's HTTP protocol class with bounds on the time and size of requests and on the time of responses.

uvicorn waits without a timeout for the rest of a request and for a client to read the response; httptools accepts
headers of any length. A WebSocket handshake is such a request until it is complete; then `websocket_protocol` takes
over the socket.

Keeps: no client holds a socket for longer than these bounds by sending or reading slowly.
"""

import asyncio
import socket
import sys
from typing import Final

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.errors import BadHost
from gateway.interfaces.connection import HTTP_SOCKET
from gateway.transport.fast_handshake import plain_handshake
from gateway.transport.server_queues import Continued, PendingRequest, queues_of
from gateway.transport.timeout_queue import TimeoutQueue
from gateway.transport.websocket_protocol import WebSocketProtocol
from gateway.turns import Turns
from httpapi.security_headers import HEADERS

STALL_S: Final = 30.0
"""The time for a client to read the part of its response that the kernel could not buffer; it often buffers
megabytes."""
MAX_HEAD_BYTES: Final = 64 * 1024
"""The size of request line and headers, as in h11, not counting the read that contains their beginning."""
_IN_HOST: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=%:[]"
"""The characters of a host and a port (RFC 3986 §3.2.2)."""
_PROBES: Final = (b"GET /livez ", b"GET /readyz ")
"""Of an orchestrator, which restarts a node that does not answer them: they do not wait for a herd of requests."""
PORTION_BYTES: Final = 2 * 1024
"""How much of a read is parsed at once: at most some 110 requests, or 2 ms. The rest is parsed after those requests
have had their responses."""
MAX_UNREAD_BYTES: Final = 512 * 1024
"""How much input may wait for earlier requests: what one read contains, and one more that TLS had already decrypted."""


_BAD_REQUEST: Final = (
    b"HTTP/1.1 400 Bad Request\r\n"
    + "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()).encode()
    + b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
)


class RequestFlow(FlowControl):
    """uvicorn's flow control, which any `receive` of an application resumes; input that is held keeps it paused."""

    is_held = False

    def resume_reading(self) -> None:
        """Resume reading, unless input is held."""
        if not self.is_held:
            super().resume_reading()


class HttpProtocol(HttpToolsProtocol):
    """One socket while it is used for HTTP. A client that exceeds a bound is disconnected without a response."""

    _request_timeouts: TimeoutQueue[PendingRequest] | None = None
    """The queue in which it waits for the next part of a request."""
    _response_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _portion = b""
    """What is being parsed."""
    _rest_bytes = 0
    """Its bytes, and those of the same read that follow it."""
    _is_head = True
    _has_bad_host = False
    _is_for_websocket = False
    """Whether the request asks for a WebSocket, once its headers are complete."""
    _unread = b""
    """A read that contained several requests; reading is paused until it is parsed."""
    _at = 0
    """How much of it is parsed, in bytes."""
    _in_progress: RequestResponseCycle | None = None
    """The request that the application handles: not uvicorn's `cycle`, which is the last that was parsed."""
    flow: RequestFlow

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        """Start the timeout of the first request."""
        super().connection_made(transport)
        self._queues = queues_of(self.server_state, self.config)
        self.flow = RequestFlow(transport)
        transport.set_write_buffer_limits(high=0)  # so that `pause_writing` is called for any buffered byte
        self._expect_request(self._queues.heads)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timeouts."""
        self._unread, self.flow.is_held = b"", False
        self._end_request_timeout()
        self._cancel_response_timer()
        self._disconnect_application()
        super().connection_lost(exc)
        # The scope of a request refers to this object: without these no cycle is left to the garbage collector.
        self.cycle = self.scope = self._in_progress = None  # type: ignore[assignment]  # nothing follows the loss

    def data_received(self, data: bytes) -> None:
        """Parse a part of a request, or several requests."""
        if self._request_timeouts is None:
            self._expect_request(self._queues.heads)
        if self.flow.is_held:
            self._hold(self._unread[self._at :] + data, 0)
        elif (turns := self._turns_for(data)).has_time():
            self._parse(data, 0)
        else:
            self._hold(data, 0)
            turns.add(self)

    def _turns_for(self, data: bytes) -> Turns[Continued]:
        return self._queues.probes if data.startswith(_PROBES) else self._queues.requests

    def _parse(self, data: bytes, begin: int) -> None:
        """Parse a read from `begin` on, in portions; stop when a request in it awaits its response."""
        for at in range(begin, len(data), PORTION_BYTES):
            if self.pipeline:
                self._hold(data, at)
                return
            portion = data[at : at + PORTION_BYTES]
            self._portion, self._rest_bytes = portion, len(data) - at
            if self._is_head:
                self._head_bytes += len(portion)
            super().data_received(portion)
            if self._is_head and self._head_bytes > MAX_HEAD_BYTES:
                self._abort()
            if self.transport.is_closing():
                return

    def _hold(self, data: bytes, at: int) -> None:
        if len(data) - at > MAX_UNREAD_BYTES:
            self._abort()
            return
        self.flow.pause_reading()
        self.flow.is_held, self._unread, self._at = True, data, at

    def proceed(self) -> None:
        """Parse the next portion: called by one of the `Turns`."""
        data, self._unread, self.flow.is_held = self._unread, b"", False
        if not self.transport.is_closing():
            self.flow.resume_reading()
            self._parse(data, self._at)

    def on_response_complete(self) -> None:
        """Schedule the next portion: uvicorn has sent a response, starts the next request and resumes reading."""
        super().on_response_complete()
        if self.flow.is_held and not self.pipeline:
            self._queues.turns.add(self)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._in_progress = cycle
        cycle.scope["extensions"] = {HTTP_SOCKET: self}  # type: ignore[dict-item]  # uvicorn's type lacks our extension
        super()._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        """Count the bytes of a new request's headers from 0."""
        self._is_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Check the Host header, and start the timeout of the body. Also called for a handshake.

        Raises: BadHost, which httptools turns into its error for an invalid request: 400.
        """
        self._is_head = False
        self._is_for_websocket = super()._should_upgrade()
        self._expect_request(self._queues.bodies)
        hosts = [value for name, value in self.headers if name == b"host"]
        is_missing = not hosts and self.parser.get_http_version() == "1.1"
        if is_missing or len(hosts) > 1 or (hosts and hosts[0].strip(b" \t").strip(_IN_HOST)):
            self._has_bad_host = True
            raise BadHost
        if not self._is_upgrade_ignored():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Cancel the timeout of the request: it is complete."""
        self._end_request_timeout()
        if not self._is_upgrade_ignored():
            super().on_message_complete()

    def _should_upgrade(self) -> bool:
        """Whether the request asks for a WebSocket: uvicorn would look at all headers again, four times a handshake."""
        return self._is_for_websocket

    def _is_upgrade_ignored(self) -> bool:
        """Whether httptools takes the request for one that changes the protocol, to anything but a WebSocket."""
        return self.parser.should_upgrade() and not self._is_for_websocket

    def _unsupported_upgrade_warning(self) -> None:
        """Ignore the Upgrade header (RFC 9110 §7.8), as of clients that offer HTTP/2: parse the request without it.

        With it httptools ends the request at its headers, and would take the body for the next request.
        """
        upgrade, method = sys.exception(), self.parser.get_method()
        if method == b"CONNECT" or not isinstance(upgrade, HttpParserUpgrade):
            self.send_400_response("This server is no proxy.")
            return
        lines = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        following = self._rest_bytes - len(self._portion)
        self._portion = b"\r\n".join([*lines, b"", self._portion[upgrade.args[0] :]])
        self._rest_bytes = len(self._portion) + following
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as in the base class
        super().data_received(self._portion)

    def handle_websocket_upgrade(self) -> None:
        """Hand the socket to the WebSocket protocol, with its default write buffer limits and no request timeout."""
        upgrade = sys.exception()  # httptools raises it for an upgrade; its argument is the offset after the request
        if isinstance(upgrade, HttpParserUpgrade) and upgrade.args[0] < self._rest_bytes:
            # A body, or frames before the response (RFC 6455 §4.1), which uvicorn would drop silently.
            self.send_400_response("Nothing may follow the request for a WebSocket until it is answered.")
            return
        if self.flow.write_paused or not (self.cycle is None or self.cycle.response_complete):
            self._abort()  # the response to an earlier request would be sent between frames
            return
        self.transport.set_write_buffer_limits()
        is_get = self.parser.get_method() == b"GET" and self.parser.get_http_version() == "1.1"
        handshake = plain_handshake(self.url, self.headers) if is_get else None
        if handshake is None:
            super().handle_websocket_upgrade()
        else:
            self.connections.discard(self)
            transport = WebSocketProtocol(self.config, self.server_state, self.app_state, self.loop)
            transport.begin(self, handshake)
            self.transport.set_protocol(transport)
        # The parser refers to this object. Without the cycle nothing is left for the garbage collector, which took a
        # sixth of the CPU of a connect, and blocked the loop for 70 ms after each 2,000.
        self.parser = None  # type: ignore[assignment]  # as the base class does once the connection is lost

    def send_400_response(self, msg: str) -> None:
        """Reject the request and close the connection.

        An earlier request's response must come first, and nothing may interrupt it: such a client gets no response.
        """
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self.pipeline or cycle.response_started or not cycle.more_body:
                self._abort()
                return
            self._disconnect_application()  # its own body is malformed, and this is its response
        if self._has_bad_host:
            msg = "The request needs exactly one valid Host header."
        self.transport.write(_BAD_REQUEST % (len(msg), msg.encode()))
        self.transport.close()

    def expect_acks(self, within_s: float) -> None:
        """Implement `HttpSocket.expect_acks`; the kernel keeps time (Linux, and TCP only)."""
        own: socket.socket | None = None if self.transport.is_closing() else self.transport.get_extra_info("socket")
        is_tcp = own is not None and own.family in (socket.AF_INET, socket.AF_INET6)
        if own is not None and is_tcp and hasattr(socket, "TCP_USER_TIMEOUT"):
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(within_s * 1000))

    def abort(self) -> None:
        """Implement `HttpSocket.abort`."""
        self._abort()

    def _abort(self) -> None:
        """Disconnect the client without a response."""
        self._disconnect_application()
        self.transport.abort()

    def _disconnect_application(self) -> None:
        """Discard what the application still sends: it would write on, and uvloop raise."""
        if self._in_progress is not None:
            self._in_progress.disconnected = True
            self._in_progress.message_event.set()

    def pause_writing(self) -> None:
        """Start the timeout of a response that the kernel did not take at once."""
        super().pause_writing()
        self._response_timer = self.loop.call_later(STALL_S, self._abort)

    def resume_writing(self) -> None:
        """Cancel the timeout of the response: the kernel has taken all of it."""
        self._cancel_response_timer()
        super().resume_writing()

    def _expect_request(self, timeouts: TimeoutQueue[PendingRequest]) -> None:
        """Start the timeout of the next part of a request."""
        self._end_request_timeout()
        self._request_timeouts = timeouts
        timeouts.add(self)

    def request_overdue(self) -> None:
        """Implement `PendingRequest`."""
        if self.flow.read_paused:  # we have paused reading: an earlier request has no response yet
            self._expect_request(self._queues.bodies)
        else:
            self._abort()

    def _end_request_timeout(self) -> None:
        if self._request_timeouts is not None:
            self._request_timeouts.discard(self)
            self._request_timeouts = None

    def _cancel_response_timer(self) -> None:
        if self._response_timer is not None:
            self._response_timer.cancel()
            self._response_timer = None
