"""The WebSocket protocol class that uvicorn runs: ASGI for the handshake and routing, then direct calls.

After `attach`, whole messages go directly to the session as bytes and prepared frames directly to the socket: without a
queue, a task or an await in between. Until then, and for applications that never attach, it behaves as uvicorn's class.

Keeps: a socket is closed at most ABORT_S after the decision to close it, regardless of its peer; the memory that one
peer can use is bounded; nothing is delivered after a CLOSE was sent or received; no URL is ever logged, since its query
may contain a token. docs/transport.md lists where uvicorn and websockets differ from that, and our workarounds.
"""

import asyncio
import logging
from asyncio.transports import BaseTransport
from http import HTTPStatus
from typing import Any, Final

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent, WebSocketAcceptEvent
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request
from websockets.protocol import State

from gateway.interfaces.connection import CONNECTION
from gateway.protocol.codes import Close
from gateway.transport.direct_connection import DirectConnection
from gateway.transport.fast_handshake import FastHandshake
from gateway.transport.fragments import BadMessage, Fragments
from gateway.transport.frame_reader import NOT_MINIMAL, FrameReader, short_pong
from gateway.transport.handshake import response_to, scope_of
from gateway.transport.incoming import LONG_READ_BYTES, Incoming
from gateway.transport.phase import Phase
from gateway.transport.server_queues import queues_of
from gateway.transport.socket_writer import SocketWriter
from gateway.transport.uvicorn_socket import UvicornSocket

logger = logging.getLogger("gateway.transport")

ABORT_S: Final = 5.0
"""From the start of a close, by either side, to the abort of a transport that is not closed by then."""
MAX_UNREAD_PONGS: Final = 64 * 1024
"""Bytes of pongs that may be buffered for a peer that sends pings and does not read."""


class WebSocketProtocol(UvicornSocket):
    """One socket: uvicorn's class, and the parts that it has."""

    __slots__ = (
        "_connection",
        "_fragments",
        "_handshake",
        "_incoming",
        "_is_lost",
        "_our_code",
        "_queues",
        "_reads",
        "_transport",
        "_unread_pongs",
        "writer",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._queues = queues_of(server_state, config)
        self._handshake: FastHandshake | None = None  # a plain handshake that awaits its response
        self._reads = FrameReader(config.ws_max_size)
        self._fragments = Fragments(config.ws_max_size)
        self._our_code: int | None = None
        self._is_lost, self._unread_pongs = False, 0

    @property
    def phase(self) -> Phase:
        """Where the socket is in its life. What runs for every frame reads uvicorn's flags instead, which is faster."""
        if self._is_lost:
            return Phase.CLOSED
        if self.close_sent or self.disconnected or self._transport.is_closing():
            return Phase.CLOSING
        return Phase.OPEN if self.handshake_complete else Phase.HANDSHAKE

    def begin(self, http: HttpToolsProtocol, handshake: FastHandshake) -> None:
        """Take over a socket whose request is a plain handshake; the request is not parsed again."""
        self.connections.add(self)
        self._take_over(http.transport)
        self.handshake_initiated = True
        self._handshake = handshake
        self.scope = scope_of(http, handshake, self.config, self.app_state)
        self._offer_connection()
        self.start_application()

    def _take_over(self, transport: BaseTransport) -> None:
        self._transport: Any = transport  # the event loop's own, for calls that neither write nor close
        self.transport = self.writer = SocketWriter(transport)
        self._incoming = Incoming(self, transport, self._queues)
        self._connection = DirectConnection(self, self.writer, self._incoming)
        self._queues.openings.add(self)

    def _offer_connection(self) -> None:
        self.scope["extensions"][CONNECTION] = self._connection  # type: ignore[assignment]  # uvicorn's type lacks our extension

    # --- asyncio

    def connection_made(self, transport: BaseTransport) -> None:
        """Start with a complete upgrade request that is not a plain handshake."""
        super().connection_made(transport)
        self._take_over(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the listener: now, or in its turn if many connections are lost together."""
        self._handshake = None
        self._connection.drop_held()
        self._incoming.drop_unread()
        self._queues.openings.discard(self)
        self.writer.release()
        super().connection_lost(exc)
        self._is_lost = True
        self._queues.report_lost(self._connection)

    def data_received(self, data: bytes) -> None:
        """Handle received bytes; discard them if the connection has ended."""
        if self.disconnected or self._transport.is_closing():
            return
        if not self.handshake_complete:
            if self.handshake_initiated:
                self.transport.abort()  # a client must wait for the response (RFC 6455 §4.1); a pong would precede it
            else:
                self._parse(data)
        elif self._incoming.is_held:
            self._incoming.hold(data)
        elif len(data) > LONG_READ_BYTES:
            self._incoming.hold_rest(data, 0)  # `turns` bounds what all long reads take of a turn of the loop together
        else:
            self._incoming.handle(data, 0)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's, where uvicorn's has no result
        """Bound the close: the peer has ended its side, and asyncio closes the transport unless this returns True."""
        if not self.writer.is_drained:
            self._abort_later()
        return self._queues.closes_later(self.writer)

    def shutdown(self) -> None:
        """Close with 1012 when uvicorn stops. An unfinished handshake gets 503: a balancer then tries another node."""
        if self.handshake_initiated and not self.handshake_complete and not self.transport.is_closing():
            self.disconnected = True  # for the application, which would send a second response
            self.reject(HTTPStatus.SERVICE_UNAVAILABLE, "The server is shutting down.\n")
        elif not self.transport.is_closing():  # else a second CLOSE would raise, and the next sockets would not close
            if self.ensure_conn().state is State.OPEN:
                self._our_code = CloseCode.SERVICE_RESTART
            super().shutdown()
        self._abort_later()

    # --- uvicorn's events

    def handle_connect(self, event: Request) -> None:
        """Offer this connection to the application, whose task starts in the next turn: the request is valid."""
        super().handle_connect(event)
        if not self.handshake_complete:
            self._offer_connection()

    def handle_text(self, event: Frame) -> None:
        """Begin a text message."""
        self._advance(self._fragments.begin(bytes(event.data), is_text=True, is_last=event.fin))

    def handle_bytes(self, event: Frame) -> None:
        """Begin a binary message."""
        self._advance(self._fragments.begin(bytes(event.data), is_text=False, is_last=event.fin))

    def handle_cont(self, event: Frame) -> None:
        """Add a further frame to the message."""
        self._advance(self._fragments.proceed(bytes(event.data), is_last=event.fin))

    def handle_ping(self) -> None:
        """Send the pong, which websockets has prepared."""
        conn = self.ensure_conn()
        if self.close_sent:
            conn.data_to_send()  # nothing follows a CLOSE
        elif conn.state is State.OPEN:  # else pongs are sent with the CLOSE, at the end of this read
            pongs = b"".join(conn.data_to_send())
            self._unread_pongs = 0 if self.writable.is_set() else self._unread_pongs + len(pongs)
            if self._unread_pongs > MAX_UNREAD_PONGS:
                self.transport.abort()
            else:
                self.transport.write(pongs)

    def handle_pong(self, event: Frame) -> None:
        """Schedule the next ping."""
        self._queues.keepalive.on_pong(self, bytes(event.data))

    def handle_close(self, event: Frame) -> None:
        """Handle the peer's CLOSE, which may be the response to ours."""
        self._connection.deliver_held()  # received before the CLOSE
        super().handle_close(event)
        self._abort_later()
        self._connection.report_closed()

    def handle_parser_exception(self) -> None:
        """Send the CLOSE that websockets has prepared for a failed connection."""
        conn, close_frame = self.ensure_conn(), self.prepared_close()
        if not self.close_sent:
            if conn.close_rcvd is not None:  # within a message
                self._connection.deliver_held()
            elif conn.close_sent is not None:
                self._our_code = conn.close_sent.code
            self.close_sent = True
            self.queue.put_nowait({"type": "websocket.disconnect", "code": self.close_code(), "reason": ""})
            self.transport.write(close_frame)
        self._half_close()

    def start_keepalive(self) -> None:
        """End the handshake timeout, and schedule the first ping."""
        self._queues.openings.discard(self)
        self._queues.keepalive.start(self)

    def stop_keepalive(self) -> None:
        """Send no more pings, and expect no pong."""
        self._queues.keepalive.stop(self)

    def keepalive_timeout(self) -> None:
        """Close with 1011 after a missing pong; while reading is paused, wait again, since the pong may be unread."""
        if self._incoming.is_paused or self._incoming.is_held:
            self._queues.keepalive.expect_pong(self)
            return
        if self.phase is Phase.OPEN:
            self.stop_keepalive()
            conn = self.ensure_conn()
            conn.fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
            self.transport.write(b"".join(conn.data_to_send()))
            self.close_sent = True
            self.transport.close()
        self.disconnected = True  # for the application
        self._abort_later()

    def handshake_overdue(self) -> None:
        """Abort the socket: the application has neither accepted nor rejected it in time."""
        if not self.handshake_complete:
            self.transport.abort()

    # --- ASGI

    async def receive(self) -> ASGIReceiveEvent:
        """Receive the next event; replaces uvicorn's method, which knows only its own pause."""
        message: ASGIReceiveEvent = await self.queue.get()
        if self.queue.empty():
            self._incoming.resume_after_queueing()
        return message

    async def send(self, message: ASGISendEvent) -> None:
        """Send the application's event; a close ends every pause, and has a bound."""
        is_response_due = not self.handshake_complete and self.initial_response is None
        if self._handshake is not None and is_response_due and message["type"] == "websocket.accept":
            self._accept(self._handshake, message)
            return
        await super().send(message)
        if self.close_sent and message["type"] == "websocket.close":
            self._connection.drop_held()
            self._connection.resume_reading()  # to receive the peer's CLOSE
            self._abort_later()
        self._incoming.keep_held()

    def _accept(self, handshake: FastHandshake, message: WebSocketAcceptEvent) -> None:
        if self.disconnected:
            raise ClientDisconnected
        if self._transport.is_closing():
            return
        self._handshake = None
        self.handshake_complete = True
        self.writer.hold(response_to(handshake, message, self.default_headers))
        self.start_keepalive()

    async def run_asgi(self) -> None:
        """Run the application in a task. When it returns, the socket is closed, unless a listener is attached: then it
        continues without a task and without the objects of the handshake (half of a connection's memory).
        """
        try:
            await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except BaseException:
            logger.exception("application_failed")
            self.send_500_response()
        else:
            if self._connection.listener is not None:
                self.release_handshake()
                return
            if not self.handshake_complete:
                logger.error("handshake_unanswered")
                self.send_500_response()
        if self.close_timer is None:
            self.transport.close()
        self._abort_later()

    # --- internal

    def handle_input(self, data: bytes, at: int) -> int:
        """Handle the portion of a read that begins at `at`, and return its end."""
        reads, conn = self._reads, self.conn
        messages = reads.messages(data, at)
        self._incoming.allowance -= reads.cost
        end = reads.end
        if messages is not None and (conn is None or conn.current_size is None):  # else within fragments
            for payload, is_text in messages:
                self._advance(self._fragments.begin(payload, is_text, is_last=True))
        elif conn is None and (pong := short_pong(data)) is not None:
            self._queues.keepalive.on_pong(self, pong)
        else:
            self._parse(data[at:end])
        return end

    def _parse(self, data: bytes) -> None:
        """Parse this with websockets' state machine."""
        conn = self.ensure_conn()
        conn.receive_data(data)
        self.handle_events()  # frames before an invalid one are valid
        if conn.parser_exc is not None:
            self.handle_parser_exception()
        elif conn.handshake_exc is not None and not self.handshake_initiated:
            self.reject_bad_request()
        elif self._reads.bad_at is not None and not (self.disconnected or self._transport.is_closing()):
            self._fail(NOT_MINIMAL)

    def close_flood(self) -> None:
        """Close, and discard further input unparsed: a search for the peer's CLOSE would cost as much as the flood."""
        self.start_close(Close.ABUSE, "too many messages")
        self.queue.put_nowait({"type": "websocket.disconnect", "code": int(Close.ABUSE), "reason": ""})
        self._half_close()

    def _advance(self, message: bytes | BadMessage | None) -> None:
        if self.close_sent or message is None:
            return
        if isinstance(message, BadMessage):
            self._fail(message)
        elif not self._connection.take(message, self._fragments.is_text):
            self.curr_msg_data_type = "text" if self._fragments.is_text else "bytes"
            self.frames = [message]
            self.send_receive_event_to_app()

    def _fail(self, bad: BadMessage) -> None:
        self.ensure_conn().fail(bad.code, bad.reason)
        self.handle_parser_exception()

    # --- for `direct_connection`

    def take_queued(self, bytes_per_cost: int) -> list[tuple[bytes, bool]]:
        """Take the messages that are queued for the application; further ones go to the session."""
        self._reads.bytes_per_cost = bytes_per_cost
        self._incoming.resume_after_queueing()
        return self.queued_messages()

    def start_close(self, code: int, reason: str = "") -> None:
        """Start the closing handshake; the transport is aborted after ABORT_S, regardless of the peer."""
        if self.phase is not Phase.OPEN:
            return
        conn = self.ensure_conn()
        if conn.state is not State.OPEN:
            return  # the peer closed first: its CLOSE is in the read that is being handled
        self._our_code = code
        conn.send_close(code, reason)
        self.transport.write(b"".join(conn.data_to_send()))
        self.close_sent = True
        self.stop_keepalive()
        self._connection.drop_held()
        self._connection.resume_reading()  # to receive the peer's CLOSE
        self._abort_later()

    def close_code(self) -> int:
        """Ours, or the peer's, or 1006."""
        if self._our_code is not None:
            return self._our_code
        received = None if self.conn is None else self.conn.close_rcvd
        return CloseCode.ABNORMAL_CLOSURE if received is None else received.code

    def _half_close(self) -> None:
        """End our side, but continue to read: closing with unread bytes resets the connection and loses our CLOSE."""
        self.disconnected = True  # for the application
        self.stop_keepalive()
        self._connection.drop_held()
        self._incoming.end_pauses()
        self._abort_later()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def _abort_later(self) -> None:
        """Abort the transport after ABORT_S: a close waits for its buffer to be written, which a peer could block."""
        if self._is_lost:
            return
        if self.close_timer is not None:
            self.close_timer.cancel()
        # uvicorn's own attribute: while it is set, uvicorn waits for the peer before it closes the transport.
        self.close_timer = self.loop.call_later(ABORT_S, self.transport.abort)
