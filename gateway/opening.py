"""How a socket begins: what uvicorn keeps of one, without what few sockets ever need, and the opening handshake.

A plain handshake is answered from here, with nothing but bytes; any other is websockets' and uvicorn's own business.
What that saves, in time and memory: docs/connects.md.

Keeps: what only the handshake needs does not outlive it; who does not end it in time is cut.
"""

import asyncio
import logging
from asyncio.transports import BaseTransport
from typing import Any, Final
from urllib.parse import unquote

from uvicorn._types import ASGISendEvent, WebSocketAcceptEvent
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from gateway.deadlines import Deadlines, rotas_of
from gateway.lane import LANE
from gateway.plain_handshake import PlainHandshake

quiet = logging.getLogger("gateway.transport.uvicorn")
quiet.setLevel(logging.WARNING)  # at INFO uvicorn logs URLs, and at DEBUG websockets logs requests and frames

_SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "


class _NoQueue:
    """Where the events go that no application asks for any more."""

    def put_nowait(self, event: object) -> None:
        """Forget it."""


_NO_QUEUE: Any = _NoQueue()
_NOTHING: Any = None
_WRITABLE: Final = asyncio.Event()
"""Every socket's, as long as it is."""
_WRITABLE.set()


class Opening(Deadlines):
    """What `gateway.transport.Transport` has of a beginning.

    The slots are uvicorn's own attributes: a socket's `__dict__` with so many would weigh 1.5 KiB.
    """

    logger = quiet
    close_timeout = 10.0

    __slots__ = (
        "_accept",
        "_conn",
        "app",
        "app_state",
        "asgi_version",
        "client",
        "close_sent",
        "close_timer",
        "config",
        "connections",
        "curr_msg_data_type",
        "default_headers",
        "disconnected",
        "frames",
        "handshake_complete",
        "handshake_initiated",
        "initial_response",
        "loop",
        "queue",
        "read_paused",
        "request",
        "response",
        "root_path",
        "scheme",
        "scope",
        "server",
        "tasks",
        "writable",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        # Not uvicorn's own __init__, which makes what is made here only when it is needed.
        super().__init__(rotas_of(server_state, config))
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
        self._conn: ServerProtocol | None = None
        self._accept = b""
        """The answer's key, while a plain handshake is to be answered."""

    @property
    def conn(self) -> ServerProtocol:  # type: ignore[override]  # uvicorn sets it in the __init__ that is not called
        """websockets' state machine, made when it is needed: most sockets never say what needs it before their end."""
        if self._conn is None:
            has_request = self.handshake_initiated  # which is read, so that frames are what comes next
            self._conn = ServerProtocol(
                state=State.OPEN if has_request else State.CONNECTING,
                # It takes control frames for a part of the message that they interrupt: messages are measured by us.
                max_size=(None, self.config.ws_max_size),
                logger=quiet,
            )
            if has_request and not self.handshake_complete:
                self._conn.state = State.CONNECTING
        return self._conn

    def begin(self, http: HttpToolsProtocol, handshake: PlainHandshake) -> None:
        """Take over a socket whose request is a plain handshake: nothing reads it a second time."""
        self.connections.add(self)
        self._take_over(http.transport)
        self.handshake_initiated = True
        self._accept = handshake.accept
        path, _, query = http.url.partition(b"?")
        self.scope = {
            "type": "websocket",
            "asgi": {"version": self.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if http.scheme == "https" else "ws",
            "server": http.server,
            "client": http.client,
            "root_path": self.root_path,
            "path": self.root_path + unquote(path.decode()),
            "raw_path": self.root_path.encode() + path,
            "query_string": query,
            "headers": handshake.headers,
            "subprotocols": handshake.subprotocols,
            "state": self.app_state.copy(),
            "extensions": {"websocket.http.response": {}},
        }
        self._offer_lane()
        self.queue.put_nowait({"type": "websocket.connect"})
        task = self.loop.create_task(self.run_asgi())
        task.add_done_callback(self.on_task_complete)
        self.tasks.add(task)

    def _take_over(self, transport: BaseTransport) -> None:
        self.transport = transport
        self.look_for_kernel(transport)
        self._rotas.openings.add(self)

    def _offer_lane(self) -> None:
        self.scope["extensions"][LANE] = self  # type: ignore[assignment]  # ours, so uvicorn's type has it not

    # --- asyncio

    def connection_made(self, transport: BaseTransport) -> None:
        """A request is complete, about to be upgraded, and not plain."""
        super().connection_made(transport)
        self._take_over(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._rotas.openings.discard(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The peer is slow."""
        self.writable = asyncio.Event()

    def resume_writing(self) -> None:
        """It has caught up."""
        self.writable.set()
        self.writable = _WRITABLE

    # --- uvicorn's events

    def handle_connect(self, event: Request) -> None:
        """The request is valid: offer the lane to the application, whose task starts in the next turn."""
        super().handle_connect(event)
        if not self.handshake_complete:
            self._offer_lane()

    async def send(self, message: ASGISendEvent) -> None:
        """The application's answers; a refusal ends the handshake as an accept does, which uvicorn forgets to note."""
        is_due = self._accept and not self.handshake_complete and self.initial_response is None
        if is_due and message["type"] == "websocket.accept":
            self._answer(message)
            return
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True

    def _answer(self, message: WebSocketAcceptEvent) -> None:
        if self.disconnected:
            raise ClientDisconnected
        if self._transport.is_closing():
            return
        lines = [_SWITCHING + self._accept]
        lines += [name + b": " + value for name, value in (*self.default_headers, *message.get("headers", ()))]
        subprotocol = message.get("subprotocol")
        if subprotocol:
            lines.append(b"Sec-WebSocket-Protocol: " + subprotocol.encode())
        self._accept = b""
        self.handshake_complete = True
        if self._conn is not None:
            self._conn.state = State.OPEN
        self.write(b"\r\n".join([*lines, b"\r\n"]))
        self.start_keepalive()

    def _let_go(self) -> None:
        """Keep nothing of the handshake: its objects are half of what a connection would weigh."""
        self.scope = self.request = self.response = _NOTHING
        self.queue = _NO_QUEUE
