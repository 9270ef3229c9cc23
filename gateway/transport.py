"""The WebSocket protocol class that uvicorn runs: ASGI for the handshake and routing, then the direct lane.

After `attach`, whole messages go straight to the session as bytes and prepared frames straight to the socket: no queue,
no task and no await in between. Until then, and for applications that never attach, it is uvicorn's own class.

Keeps: no socket outlives the decision to close it by more than ABORT_S, whatever its peer does; what one peer can make
this process hold is bounded; nothing is delivered after a CLOSE was sent or received; no URL is ever logged, since a
token may be in its query. Where uvicorn and websockets do otherwise, and what we do about it: docs/transport.md.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State

from gateway.fragments import BadMessage, Fragments
from gateway.lane import LaneListener
from gateway.opening import Opening
from gateway.reads import NOT_MINIMAL, Reads, short_pong

logger = logging.getLogger("gateway.transport")

ABORT_S: Final = 5.0
"""From the start of a close, by either side, to the abort of what is not closed by then."""
MAX_UNREAD_PONGS: Final = 64 * 1024
"""Bytes of pongs that a peer may ask for while it does not read them."""
_BAD_REQUEST: Final = "Failed to open a WebSocket connection: the request is invalid, or has a body.\n"


class Transport(Opening):
    """One socket. Meets `gateway.lane.Lane`, which is in the ASGI scope's extensions under `LANE`."""

    __slots__ = (
        "_fragments",
        "_held",
        "_is_gone",
        "_lane_paused",
        "_listener",
        "_our_code",
        "_reads",
        "_told_closed",
        "_unread_pongs",
        "_when_closed",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._reads = Reads(config.ws_max_size)
        self._fragments = Fragments(config.ws_max_size)
        self._listener: LaneListener | None = None
        self._lane_paused = False
        self._held: deque[tuple[bytes, bool]] | None = None
        """Whole messages of the read during which the listener paused: at most what one read brings."""
        self._our_code: int | None = None
        self._told_closed = self._is_gone = False
        self._when_closed: Callable[[int], None] | None = None
        self._unread_pongs = 0

    # --- the lane

    def attach(self, listener: LaneListener) -> None:
        """Send what comes in to `listener` from now on, what arrived since the handshake first. Called after accept."""
        self._listener = listener
        self._resume_after_queueing()
        while not self.queue.empty():
            event = self.queue.get_nowait()
            if event["type"] == "websocket.receive":
                text = event.get("text")
                payload = text.encode() if text is not None else event.get("bytes") or b""
                self._take(listener, payload, text is not None)
        if self._is_gone:
            self._tell_closed()

    def pause_reading(self) -> None:
        """Deliver no message until `resume_reading`, nor read any from the kernel."""
        if not self._lane_paused and not self.close_sent and not self.transport.is_closing():
            self._lane_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Take messages again, those held back first; the listener may pause again in between."""
        if not self._lane_paused:
            return
        self._lane_paused = False
        while self._held and not self._lane_paused and self._listener is not None:
            self._deliver(self._listener, *self._held.popleft())
        if not self._lane_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def close(self, code: int, reason: str = "") -> None:
        """Start the closing handshake; the transport is aborted after ABORT_S, whatever the peer does."""
        if self.conn.state is not State.OPEN or self.transport.is_closing():
            return  # not open yet, or the peer was first: its CLOSE may be among what is being handled right now
        self._our_code = code
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.stop_keepalive()
        self._held = None
        self.resume_reading()  # the peer's CLOSE is waited for
        self._abort_later()

    def when_closed(self, call: Callable[[int], None] | None) -> bool:
        """Call this, and nobody else any more, once the socket is gone; False, and nobody is called, if it is."""
        self._when_closed = call
        return not self._is_gone

    # --- asyncio

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._held = None
        super().connection_lost(exc)
        self._is_gone = True
        if self._when_closed is not None:
            self._when_closed(self._close_code())
        self._tell_closed()

    def data_received(self, data: bytes) -> None:
        """Bytes came in. What follows the end of a connection is dropped."""
        if self.disconnected or self._transport.is_closing():
            return
        if self.handshake_initiated and not self.handshake_complete:
            self.transport.abort()  # a client must wait for the answer (RFC 6455 §4.1); a pong would come before ours
            return
        messages = self._reads.messages(data) if self.handshake_complete else None
        if messages is not None and (self._conn is None or self._conn.current_size is None):  # else within fragments
            for payload, is_text in messages:
                self._advance(self._fragments.begin(payload, is_text, is_last=True))
            return
        if self._conn is None and (pong := short_pong(data)) is not None:
            self.handle_pong(Frame(Opcode.PONG, pong))
            return
        bad_at = self._reads.bad_at
        self.conn.receive_data(data[:bad_at])
        self.handle_events()  # what came before a bad frame is good
        if self.conn.parser_exc is not None:
            self.handle_parser_exception()
        elif self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse_request()
        elif bad_at is not None and not (self.disconnected or self._transport.is_closing()):
            self._fail(NOT_MINIMAL)

    def eof_received(self) -> None:
        """The peer will send no more; asyncio closes the transport now, which waits for what is buffered."""
        self._abort_later()

    def shutdown(self) -> None:
        """uvicorn stops: close with 1012 whoever is left. An unfinished handshake is 503: a balancer asks elsewhere."""
        if self.handshake_initiated and not self.handshake_complete and not self.transport.is_closing():
            self.disconnected = True  # for the application, whose own answer would be a second one
            self.conn.send_response(self.conn.reject(HTTPStatus.SERVICE_UNAVAILABLE, "The server is shutting down.\n"))
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()
        elif not self.transport.is_closing():  # else a second CLOSE would raise, and cost the next sockets theirs
            if self.conn.state is State.OPEN:
                self._our_code = CloseCode.SERVICE_RESTART
            super().shutdown()
        self._abort_later()

    # --- uvicorn's events

    def handle_text(self, event: Frame) -> None:
        """The first frame of a text message."""
        self._advance(self._fragments.begin(bytes(event.data), is_text=True, is_last=event.fin))

    def handle_bytes(self, event: Frame) -> None:
        """The first frame of a binary message."""
        self._advance(self._fragments.begin(bytes(event.data), is_text=False, is_last=event.fin))

    def handle_cont(self, event: Frame) -> None:
        """A further frame of a message."""
        self._advance(self._fragments.proceed(bytes(event.data), is_last=event.fin))

    def handle_ping(self) -> None:
        """A PING, for which the pong is ready to be sent."""
        if self.close_sent:
            self.conn.data_to_send()  # nothing follows a CLOSE
        elif self.conn.state is State.OPEN:  # else they leave with the CLOSE, at the end of this read
            pongs = b"".join(self.conn.data_to_send())
            self._unread_pongs = 0 if self.writable.is_set() else self._unread_pongs + len(pongs)
            if self._unread_pongs > MAX_UNREAD_PONGS:
                self.transport.abort()
            else:
                self.transport.write(pongs)

    def handle_close(self, event: Frame) -> None:
        """The peer closes, or answers our CLOSE."""
        while self._held and self._listener is not None:  # they came before it
            self._deliver(self._listener, *self._held.popleft())
        super().handle_close(event)
        self._abort_later()
        self._tell_closed()

    def handle_parser_exception(self) -> None:
        """The connection has failed: the CLOSE that says how is ready to be sent."""
        answer = b"".join(self.conn.data_to_send())
        if not self.close_sent:
            self.close_sent = True
            received, ours = self.conn.close_rcvd, self.conn.close_sent
            if received is not None:  # within a fragmented message, where websockets refuses it and RFC 6455 §5.4 not
                payload = b"" if received.code == CloseCode.NO_STATUS_RCVD else received.serialize()
                answer = Frame(Opcode.CLOSE, payload).serialize(mask=False)
            elif ours is not None:
                self._our_code = ours.code
            self.queue.put_nowait({"type": "websocket.disconnect", "code": self._close_code(), "reason": ""})
            self.transport.write(answer)
        self._hang_up()

    def keepalive_timeout(self) -> None:
        """No pong came in time."""
        if self._lane_paused and self._rotas.pongs is not None:  # it may lie unread, by our own choice
            self._rotas.pongs.add(self)
            return
        super().keepalive_timeout()
        self.disconnected = True  # for the application
        self._abort_later()

    async def run_asgi(self) -> None:
        """The application's task. When it returns, the socket is closed; but where a listener has the lane, it goes on
        without a task, and without all that only the handshake needed (half of what a connection weighs).
        """
        try:
            await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except BaseException:
            logger.exception("application_failed")
            self.send_500_response()
        else:
            if self._listener is not None:
                self._let_go()
                return
            if not self.handshake_complete:
                logger.error("handshake_unanswered")
                self.send_500_response()
        if self.close_timer is None:
            self.transport.close()
        self._abort_later()

    def send_500_response(self) -> None:
        """The application failed before it answered; `shutdown` may have answered since."""
        if not self.disconnected:
            super().send_500_response()

    # --- within

    def _refuse_request(self) -> None:
        """httptools took it and websockets did not, which answers by itself only what is too long."""
        answer = b"".join(self.conn.data_to_send())
        self.transport.write(answer or self.conn.reject(HTTPStatus.BAD_REQUEST, _BAD_REQUEST).serialize())
        self.transport.close()

    def _advance(self, message: bytes | BadMessage | None) -> None:
        if self.close_sent or message is None:
            return
        if isinstance(message, BadMessage):
            self._fail(message)
        elif self._listener is not None:
            self._take(self._listener, message, self._fragments.is_text)
        else:
            self.curr_msg_data_type = "text" if self._fragments.is_text else "bytes"
            self.frames = [message]
            self.send_receive_event_to_app()

    def _fail(self, bad: BadMessage) -> None:
        self.conn.fail(bad.code, bad.reason)
        self.handle_parser_exception()

    def _take(self, listener: LaneListener, message: bytes, is_text: bool) -> None:
        if self._lane_paused:
            self._held = self._held or deque()
            self._held.append((message, is_text))
        else:
            self._deliver(listener, message, is_text)

    def _deliver(self, listener: LaneListener, message: bytes, is_text: bool) -> None:
        try:
            listener.on_message(message, is_text)
        except Exception:
            # A defect of ours must show, and must not leave a socket that nobody reads.
            logger.exception("message_failed")
            self.close(CloseCode.INTERNAL_ERROR)

    def _tell_closed(self) -> None:
        if self._listener is not None and not self._told_closed:
            self._told_closed = True
            try:
                self._listener.on_closed(self._close_code())
            except Exception:
                logger.exception("close_failed")

    def _close_code(self) -> int:
        if self._our_code is not None:
            return self._our_code
        received = None if self._conn is None else self._conn.close_rcvd
        return CloseCode.ABNORMAL_CLOSURE if received is None else received.code

    def _hang_up(self) -> None:
        """Say no more, but read on: to close with bytes unread resets the connection, and our CLOSE is lost with it."""
        self.disconnected = True  # for the application
        self.stop_keepalive()
        self._held = None
        self.resume_reading()
        self._resume_after_queueing()
        self._abort_later()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def _resume_after_queueing(self) -> None:
        """Undo the pause that uvicorn makes after each message it queues."""
        if self.read_paused:
            self.read_paused = False
            if not self._lane_paused:
                self.transport.resume_reading()

    def _abort_later(self) -> None:
        """Closing writes out what is buffered first, and a peer that takes nothing would keep that waiting for ever."""
        if self._is_gone:
            return
        if self.close_timer is not None:
            self.close_timer.cancel()
        # uvicorn's own slot: while it is filled, uvicorn waits for the peer before it closes the transport.
        self.close_timer = self.loop.call_later(ABORT_S, self.transport.abort)
