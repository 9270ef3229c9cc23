"""uvicorn's server with our two protocol classes, in the event loop of the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.interfaces.connection import CONNECTION, Connection
from gateway.protocol.frames import text_frame
from gateway.server.serve import bind
from gateway.transport.http_protocol import HttpProtocol
from gateway.transport.websocket_protocol import WebSocketProtocol
from tests.gateway.transport.wire import TIMEOUT_S

MAX_MESSAGE = 65_536


class Server(uvicorn.Server):
    """uvicorn's server without signal handlers: signals are for pytest."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handler."""
        yield

    @property
    def port(self) -> int:
        """The TCP port."""
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port

    @property
    def sockets(self) -> set[Any]:
        """The open WebSockets."""
        return {one for one in self.server_state.connections if isinstance(one, WebSocketsSansIOProtocol)}

    async def stop(self) -> None:
        """Shut down as a process does: every socket is closed with 1012."""
        await self.shutdown()


@asynccontextmanager
async def running(app: ASGIApp, **options: Any) -> AsyncIterator[Server]:
    """Run a server of `app` on a free port."""
    settings: dict[str, Any] = {
        "ws": WebSocketProtocol,
        "http": HttpProtocol,
        "ws_max_size": MAX_MESSAGE,
        "lifespan": "off",
        "log_config": None,
        "access_log": False,
        "timeout_graceful_shutdown": 1,
    }
    config = uvicorn.Config(app, **(settings | options))
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup([bind("127.0.0.1", 0)])
    try:
        yield server
    finally:
        # Not with uvicorn's shutdown, which sleeps.
        for listener in server.servers:
            listener.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        await until(lambda: not server.server_state.connections and not server.server_state.tasks)


class Listener:
    """Records messages and closes, and calls `act` with each message."""

    def __init__(self, lane: Connection, act: Callable[["Listener", bytes, bool], None] | None = None) -> None:
        self.lane = lane
        self.messages: list[tuple[bytes, bool]] = []
        self.closes: list[int] = []
        self._act = act

    def on_message(self, payload: bytes, is_text: bool) -> None:
        assert type(payload) is bytes
        assert not self.closes, "a message after on_closed"
        self.messages.append((payload, is_text))
        if self._act is not None:
            self._act(self, payload, is_text)

    def on_closed(self, code: int) -> None:
        self.closes.append(code)


def echo(listener: Listener, payload: bytes, is_text: bool) -> None:
    """Send the message back."""
    listener.lane.write(text_frame(payload) if is_text else b"\x82" + text_frame(payload)[1:])


class LaneApp:
    """Accepts, and attaches a listener to the connection. `before_attach` runs in between."""

    def __init__(
        self,
        act: Callable[[Listener, bytes, bool], None] | None = None,
        before_attach: Callable[[Connection], Awaitable[None]] | None = None,
    ) -> None:
        self._act = act
        self._before_attach = before_attach
        self.listeners: list[Listener] = []
        self.ends: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        assert (await receive())["type"] == "websocket.connect"
        lane: Connection = scope["extensions"][CONNECTION]
        listener = Listener(lane, self._act)
        await send({"type": "websocket.accept"})
        if self._before_attach is not None:
            await self._before_attach(lane)
        self.listeners.append(listener)
        lane.attach(listener)
        self.ends.append(await closed(lane))

    async def listener(self) -> Listener:
        """The listener of the first connection."""
        await until(lambda: self.listeners)
        return self.listeners[0]


async def closed(lane: Connection) -> int:
    """Wait until the socket is closed, and return the close code; 0 if it was closed before."""
    codes: asyncio.Queue[int] = asyncio.Queue()
    return await codes.get() if lane.when_closed(codes.put_nowait) else 0


async def until(condition: Callable[[], object], timeout_s: float = TIMEOUT_S) -> None:
    """Return once the condition holds; raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.001)


def open_files() -> int:
    """The number of open file descriptors of this process."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def starlette_echo(scope: Scope, receive: Receive, send: Send) -> None:
    """The same echo by Starlette's API, without the direct connection."""
    websocket = WebSocket(scope, receive, send)
    await websocket.accept()
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                await websocket.send_text(message["text"])
            else:
                await websocket.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        return
