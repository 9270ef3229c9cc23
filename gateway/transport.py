"""The WebSocket protocol class that uvicorn runs: ASGI for the handshake and routing, then the direct lane.

After `attach`, whole messages go straight to the session as bytes and prepared frames straight to the socket: no queue,
no task and no await in between. Until then, and for applications that never attach, it is uvicorn's own class.

What it adds to uvicorn's (see docs/transport.md): a peer that takes nothing is aborted; fragments, pongs and handshakes
are bounded; text is checked; no URL is ever logged, since a token may be in its query.
"""

import asyncio
import logging
from asyncio.transports import BaseTransport
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request

from gateway.lane import LANE, LaneListener

logger = logging.getLogger("gateway.transport")
_quiet = logging.getLogger("gateway.transport.uvicorn")
_quiet.setLevel(logging.WARNING)  # at INFO uvicorn logs URLs, and websockets logs frames at DEBUG

HANDSHAKE_S = 10.0
"""From a complete request to accept or refusal."""
ABORT_S = 5.0
"""From the start of a close, by either side, to the abort of what is not closed by then."""
MAX_FRAGMENTS = 1024
"""Of one message; their bytes are bounded by ws_max_size, but empty ones have none."""
MAX_PONG_BUFFER = 64 * 1024
"""A peer that lets this much pile up and still pings gets no more answers."""


class Transport(WebSocketsSansIOProtocol):
    """One socket. Meets `gateway.lane.Lane`, which is in the ASGI scope's extensions under `LANE`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = _quiet
        self.conn.logger = _quiet
        self.conn.debug = False
        self._listener: LaneListener | None = None
        self._lane_paused = False
        self._our_code: int | None = None
        self._told_closed = False
        self._closed: asyncio.Future[int] = self.loop.create_future()
        self._fragments = 0
        self._deadline: asyncio.TimerHandle | None = None

    # --- the lane

    def attach(self, listener: LaneListener) -> None:
        """Send what comes in to `listener` from now on, what arrived since the handshake first."""
        self._listener = listener
        arrived, self.queue = self.queue, asyncio.Queue()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        while not arrived.empty():
            event = arrived.get_nowait()
            if event["type"] == "websocket.receive":
                text = event.get("text")
                payload = text.encode() if text is not None else event.get("bytes") or b""
                self._deliver(listener, payload, text is not None)
            elif event["type"] == "websocket.disconnect":
                self._tell_closed()

    def write(self, frames: bytes) -> None:
        """Write complete server frames; ignored once the socket is closing."""
        if not self.close_sent and not self.transport.is_closing():
            self.transport.write(frames)

    @property
    def buffered(self) -> int:
        """Bytes written here that the kernel has not taken yet."""
        return self.transport.get_write_buffer_size()

    async def drained(self) -> bool:
        """Return once the buffer is below its high-water mark; False if the socket is closing."""
        await self.writable.wait()
        return not (self.close_sent or self.transport.is_closing())

    def pause_reading(self) -> None:
        """Stop taking messages until `resume_reading`."""
        if not self._lane_paused and not self.transport.is_closing():
            self._lane_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Take messages again."""
        if self._lane_paused and not self.transport.is_closing():
            self._lane_paused = False
            self.transport.resume_reading()

    def close(self, code: int, reason: str = "") -> None:
        """Start the closing handshake; the transport is aborted after ABORT_S, whatever the peer does."""
        if self.close_sent or not self.handshake_complete or self.transport.is_closing():
            return
        self._our_code = code
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.stop_keepalive()
        self.resume_reading()  # the peer's CLOSE is waited for
        # The base class closes the transport on the peer's CLOSE only where a timer of its own is running.
        self.close_timer = self.loop.call_later(ABORT_S, self.transport.abort)

    async def wait_closed(self) -> int:
        """Return the close code once the socket is gone."""
        return await asyncio.shield(self._closed)

    # --- asyncio

    def connection_made(self, transport: BaseTransport) -> None:
        """A request is about to be upgraded."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HANDSHAKE_S, self._handshake_overdue)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._cancel_deadline()
        super().connection_lost(exc)
        self._tell_closed()
        if not self._closed.done():
            self._closed.set_result(self._close_code())

    def data_received(self, data: bytes) -> None:
        """Bytes came in; what follows a close is not read any more."""
        if not self.transport.is_closing():
            super().data_received(data)

    def shutdown(self) -> None:
        """uvicorn stops: close with 1012 whoever is left."""
        if self.handshake_complete and not self.close_sent:
            self._our_code = CloseCode.SERVICE_RESTART
        super().shutdown()
        self._abort_later()

    # --- uvicorn's events

    def handle_connect(self, event: Request) -> None:
        """The request is complete: offer the lane to the application, whose task starts in the next turn."""
        super().handle_connect(event)
        if not self.handshake_complete:
            self.scope["extensions"][LANE] = self  # type: ignore[assignment]

    def handle_text(self, event: Frame) -> None:
        """The first frame of a text message."""
        self._fragments = 1
        super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """The first frame of a binary message."""
        self._fragments = 1
        super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """A further frame of a message."""
        self._fragments += 1
        if self._fragments > MAX_FRAGMENTS:
            self._fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
        else:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """A PING, for which the pong is ready to be sent."""
        if self.buffered > MAX_PONG_BUFFER:
            self.transport.abort()
        else:
            super().handle_ping()

    def handle_close(self, event: Frame) -> None:
        """The peer closes, or answers our CLOSE."""
        super().handle_close(event)
        self._abort_later()
        self._tell_closed()

    def handle_parser_exception(self) -> None:
        """The peer broke the protocol: the CLOSE that says how is ready to be sent."""
        if self._our_code is None and self.conn.close_sent is not None:
            self._our_code = self.conn.close_sent.code
        super().handle_parser_exception()
        self._abort_later()

    def keepalive_timeout(self) -> None:
        """No pong came in time."""
        super().keepalive_timeout()
        self._abort_later()

    def send_receive_event_to_app(self) -> None:
        """A message is whole."""
        listener = self._listener
        if listener is None:
            super().send_receive_event_to_app()
            return
        payload = bytes(self.frames[0]) if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        is_text = self.curr_msg_data_type == "text"
        if is_text and not _is_utf8(payload):
            self._fail(CloseCode.INVALID_DATA, "invalid UTF-8")
        else:
            self._deliver(listener, payload, is_text)

    async def run_asgi(self) -> None:
        """The application's task; when it returns, the socket is closed."""
        await super().run_asgi()
        self._abort_later()

    # --- within

    def _deliver(self, listener: LaneListener, payload: bytes, is_text: bool) -> None:
        try:
            listener.on_message(payload, is_text)
        except Exception:
            # A defect of ours must show, and must not leave a socket that nobody reads.
            logger.exception("message_failed")
            self.close(CloseCode.INTERNAL_ERROR)

    def _fail(self, code: CloseCode, reason: str) -> None:
        self.conn.fail(code, reason)
        self.handle_parser_exception()

    def _close_code(self) -> int:
        if self._our_code is not None:
            return self._our_code
        received = self.conn.close_rcvd
        return CloseCode.ABNORMAL_CLOSURE if received is None else received.code

    def _tell_closed(self) -> None:
        if self._listener is not None and not self._told_closed:
            self._told_closed = True
            self._listener.on_closed(self._close_code())

    def _handshake_overdue(self) -> None:
        if not self.handshake_complete:
            self.transport.abort()

    def _abort_later(self) -> None:
        """Closing writes out what is buffered first, and a peer that takes nothing would keep that waiting for ever."""
        if not self.disconnected:
            self._cancel_deadline()
            self._deadline = self.loop.call_later(ABORT_S, self.transport.abort)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _is_utf8(payload: bytes) -> bool:
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
