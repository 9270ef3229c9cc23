"""A transport that records, and one WebSocket of ours on it."""

import asyncio
from typing import Any

import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState

from gateway.interfaces.connection import CONNECTION, Connection
from gateway.transport.http_protocol import HttpProtocol
from gateway.transport.server_queues import queues_of
from gateway.transport.websocket_protocol import WebSocketProtocol
from tests.gateway.transport.wire import CLOSE, frame, handshake
from tests.support.transport_server import Listener, echo


def sent_close(code: int, reason: bytes = b"") -> bytes:
    """The server's CLOSE."""
    return frame(CLOSE, code.to_bytes(2) + reason, mask=None)


class Transport:
    """A transport as of TLS, which takes every write: what is written, and whether it is read or ended."""

    def __init__(self) -> None:
        self.written = b""
        self.is_read = True
        self.has_eof = True
        self.ends: list[str] = []
        self.limits: list[int | None] = []
        self.protocol: Any = None

    def get_extra_info(self, name: str) -> Any:
        return {"peername": ("10.0.0.1", 1), "sockname": ("10.0.0.2", 2), "ssl_object": self}.get(name)

    def take(self) -> bytes:
        """What was written since the last call."""
        taken, self.written = self.written, b""
        return taken

    def write(self, data: bytes) -> None:
        assert not self.ends
        self.written += data

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def set_write_buffer_limits(self, high: int | None = None) -> None:
        self.limits.append(high)

    def get_write_buffer_size(self) -> int:
        return 0

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return "close" in self.ends or "abort" in self.ends

    def can_write_eof(self) -> bool:
        return self.has_eof

    def write_eof(self) -> None:
        self.ends.append("eof")

    def close(self) -> None:
        self.ends.append("close")

    def abort(self) -> None:
        self.ends.append("abort")


class Peer:
    """A client's side of one socket. The application sends what `answers` holds, and attaches a listener if asked."""

    def __init__(self) -> None:
        self.answers: list[Message | Exception] = [{"type": "websocket.accept"}]
        self.received: list[Message] = []
        self.attaches = True
        self.returns = asyncio.Event()
        self.lanes: list[Connection] = []
        self.listener: Any = None
        self.failure: Exception | None = None
        config = uvicorn.Config(self.app, http=HttpProtocol, ws=WebSocketProtocol, interface="asgi3", log_config=None)
        config.load()
        self.state = ServerState()
        self.queues: Any = queues_of(self.state, config)
        self.transport: Any = Transport()
        self.http = HttpProtocol(config, self.state, {})
        self.http.connection_made(self.transport)

    @property
    def socket(self) -> Any:
        return self.transport.protocol

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.received.append(await receive())
        self.lanes.append(scope["extensions"][CONNECTION])
        for answer in self.answers:
            if isinstance(answer, Exception):
                raise answer
            try:
                await send(answer)
            except ClientDisconnected as failure:
                self.failure = failure
                raise
        if self.attaches:
            self.listener = Listener(self.lanes[0], echo)
            self.lanes[0].attach(self.listener)
            return
        await self.returns.wait()

    async def request(self, *headers: str) -> None:
        """Send the request for a WebSocket, and let the application act."""
        self.http.data_received(handshake("/", *headers))
        await settle()

    async def open(self, *headers: str, attaches: bool = True) -> None:
        """Send the request, and take the response."""
        self.attaches = attaches
        await self.request(*headers)
        assert self.transport.take().startswith(b"HTTP/1.1 101 ")

    async def queued(self) -> list[Message]:
        """What the application would receive now."""
        messages = []
        while not self.socket.queue.empty():
            messages.append(await self.socket.receive())
        return messages

    @property
    def abort_s(self) -> float | None:
        """The seconds until the transport is aborted, rounded up; None if it will not be."""
        timer = self.socket.close_timer
        if timer is None or timer.cancelled():
            return None
        return round(timer.when() - asyncio.get_running_loop().time() + 0.4)

    @property
    def pings(self) -> tuple[int, int]:
        """The number of sockets until their next ping, and of those until their pong."""
        return len(self.queues.keepalive._pings), len(self.queues.keepalive._pongs)


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)
