"""uvicorn's WebSocket class, without the objects that few sockets ever need. docs/connects.md has the memory saved.

Keeps: websockets' state machine exists whenever uvicorn's code uses it; objects that only the handshake needs are
released with it.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Any, Final

from uvicorn._types import ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from gateway.transport.handshake import SecuredProtocol

quiet = logging.getLogger("gateway.transport.uvicorn")
quiet.setLevel(logging.WARNING)  # at INFO uvicorn logs URLs, and at DEBUG websockets logs requests and frames

_BAD_REQUEST: Final = "Failed to open a WebSocket connection: the request is invalid, or has a body.\n"


class _NoQueue:
    """Discards events that no application receives any more."""

    def put_nowait(self, event: object) -> None:
        """Discard the event."""


_NO_QUEUE: Any = _NoQueue()
_NOTHING: Any = None
_WRITABLE: Final = asyncio.Event()
"""`writable` of every socket whose write buffer is not full: one shared event, always set."""
_WRITABLE.set()


class UvicornSocket(WebSocketsSansIOProtocol):
    """The base of `gateway.transport.websocket_protocol.WebSocketProtocol`.

    The slots are uvicorn's own attributes: a `__dict__` with so many would take 1.5 KiB a socket.
    """

    logger = quiet
    close_timeout = 10.0

    __slots__ = (
        "app",
        "app_state",
        "asgi_version",
        "client",
        "close_sent",
        "close_timer",
        "config",
        "conn",
        "connections",
        "curr_msg_data_type",
        "default_headers",
        "disconnected",
        "frames",
        "handshake_complete",
        "handshake_initiated",
        "initial_response",
        "loop",
        "pending_ping_payload",
        "queue",
        "read_paused",
        "request",
        "response",
        "root_path",
        "scheme",
        "scope",
        "server",
        "tasks",
        "transport",
        "writable",
    )

    conn: ServerProtocol | None  # type: ignore[assignment]  # uvicorn creates it with the socket

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        # uvicorn's own __init__ is not called: it would create objects that are created here only on demand.
        self.config, self.app, self.app_state = config, config.loaded_app, app_state
        self.loop = _loop or asyncio.get_running_loop()
        self.root_path, self.asgi_version = config.root_path, config.asgi_version
        self.connections, self.tasks = server_state.connections, server_state.tasks
        self.default_headers = server_state.default_headers
        self.server = self.client = None
        self.queue = asyncio.Queue()
        self.handshake_initiated = self.handshake_complete = False
        self.close_sent = self.disconnected = self.read_paused = False
        self.close_timer = None
        self.initial_response = None
        self.writable = _WRITABLE
        self.pending_ping_payload = None
        self.conn = None

    def ensure_conn(self) -> ServerProtocol:
        """websockets' state machine, created now if this is the first use: most sockets need it only to close."""
        if self.conn is None:
            self.conn = SecuredProtocol(
                state=State.OPEN if self.handshake_initiated else State.CONNECTING,  # OPEN: the request has been read
                # websockets counts control frames as part of the message that they interrupt, so we bound messages.
                max_size=(None, self.config.ws_max_size),
                logger=quiet,
            )
        return self.conn

    def queued_messages(self) -> list[tuple[bytes, bool]]:
        """Take the messages that are queued for the application, each with whether it is text."""
        messages = []
        while not self.queue.empty():
            event = self.queue.get_nowait()
            if event["type"] == "websocket.receive":
                text = event.get("text")
                messages.append((event.get("bytes") or b"" if text is None else text.encode(), text is not None))
        return messages

    def prepared_close(self) -> bytes:
        """The CLOSE that websockets has prepared, with the peer's code if that has closed.

        Within a fragmented message websockets prepares a failure instead; RFC 6455 §5.4 allows the CLOSE there.
        """
        conn = self.ensure_conn()
        prepared = b"".join(conn.data_to_send())
        received = conn.close_rcvd
        if received is None:
            return prepared
        payload = b"" if received.code == CloseCode.NO_STATUS_RCVD else received.serialize()
        return Frame(Opcode.CLOSE, payload).serialize(mask=False)

    def release_handshake(self) -> None:
        """Release the objects of the handshake: they are half of a connection's memory."""
        self.scope = self.request = self.response = _NOTHING
        self.queue = _NO_QUEUE

    def start_application(self) -> None:
        """Run the application in a task, as uvicorn does for a request that it has parsed."""
        self.queue.put_nowait({"type": "websocket.connect"})
        task = self.loop.create_task(self.run_asgi())
        task.add_done_callback(self.on_task_complete)
        self.tasks.add(task)

    def reject(self, status: HTTPStatus, text: str) -> None:
        """Reject the handshake with this response."""
        conn = self.ensure_conn()
        conn.send_response(conn.reject(status, text))
        self.transport.write(b"".join(conn.data_to_send()))
        self.transport.close()

    def reject_bad_request(self) -> None:
        """Reject a request that httptools accepted and websockets did not.

        websockets itself responds only to requests that are too long.
        """
        conn = self.ensure_conn()
        response = b"".join(conn.data_to_send())
        self.transport.write(response or conn.reject(HTTPStatus.BAD_REQUEST, _BAD_REQUEST).serialize())
        self.transport.close()

    # --- asyncio

    def pause_writing(self) -> None:
        """Clear `writable`: the peer reads more slowly than we write."""
        self.writable = asyncio.Event()

    def resume_writing(self) -> None:
        """Set `writable` again: the peer has caught up."""
        self.writable.set()
        self.writable = _WRITABLE

    # --- uvicorn's methods that use `conn`; those that handle a frame run when it exists

    def send_500_response(self) -> None:
        """Send 500 for an application that failed without a response, unless `shutdown` has sent a response since."""
        if not self.disconnected:
            self.ensure_conn()
            super().send_500_response()

    async def send(self, message: ASGISendEvent) -> None:
        """Send the application's event. A rejection completes the handshake too, which uvicorn does not record."""
        self.ensure_conn()
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True
