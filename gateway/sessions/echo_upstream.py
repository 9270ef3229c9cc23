"""The upstream server of echo sessions, and one session's connection to it.

Invariants: every wait for the upstream has a timeout. `queued` counts the bytes to send, and the caller bounds them.
While `receive` is busy the socket is not read. No exception of the WebSocket library leaves this module.
"""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, WebSocketException
from websockets.frames import CloseCode

from gateway.sessions.echo_transcript import Message

CONNECT_S: Final = 5.0
"""Timeout of name resolution, TCP, TLS and handshake together."""
SEND_S: Final = 10.0
"""Timeout of sending one message while the upstream reads too slowly."""
PING_S: Final = 20.0
"""Ping interval, and timeout of the pong."""
CLOSE_S: Final = 2.0
MAX_MESSAGE_BYTES: Final = 65_536
"""Limit of a message from the upstream, the same as for clients."""
MAX_UNREAD: Final = 4
"""Messages read from the socket that may wait for `receive` before reading pauses."""

_quiet = logging.getLogger("gateway.upstream.websockets")
_quiet.setLevel(logging.WARNING)  # at DEBUG the library logs every frame

Receive = Callable[[Message], Awaitable[None]]


class UpstreamEnd(StrEnum):
    """Why a connection to the upstream ended; the value is part of the client's close reason."""

    UNREACHABLE = "unreachable"
    SLOW = "too slow"
    SILENT = "silent"
    CLOSED = "closed"
    BROKEN = "broken"  # it sent invalid WebSocket data, or too long a message


class Upstream:
    """The upstream's address. The library follows redirects and the proxy settings of the environment."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._tls = ssl.create_default_context() if url.startswith("wss:") else None  # takes some ms, so created once

    def link(self) -> "UpstreamLink":
        """Create a link that is not connected yet."""
        return UpstreamLink(self._connect)

    def _connect(self) -> connect:
        return connect(
            self._url,
            ssl=self._tls,
            compression=None,  # a small frame may decompress to a huge message
            open_timeout=CONNECT_S,
            close_timeout=CLOSE_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=MAX_UNREAD,
            logger=_quiet,
        )


class UpstreamLink:
    """One session's connection to the upstream. `run` is its task."""

    def __init__(self, connect_upstream: Callable[[], connect]) -> None:
        self._connect = connect_upstream
        self._send_queue: deque[Message] = deque()
        self._wake = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._is_over = False
        self._is_slow = False
        self.queued = 0
        """Bytes that wait to be sent, MESSAGE_BYTES per message included."""

    def send(self, message: Message) -> None:
        """Queue a message; never blocks. Ignored once `run` has returned."""
        if not self._is_over:
            self._send_queue.append(message)
            self.queued += message.size
            self._wake.set()
            self._emptied.clear()

    async def emptied(self) -> None:
        """Wait until everything queued is sent, or `run` has returned."""
        await self._emptied.wait()

    async def run(self, receive: Receive) -> UpstreamEnd:
        """Connect, then send queued messages and pass received ones to `receive`, until the connection ends.

        On cancellation it closes the connection within about CLOSE_S.
        """
        try:
            socket = await self._connect()
        except (OSError, WebSocketException):  # TimeoutError is an OSError
            return UpstreamEnd.UNREACHABLE
        else:
            try:
                return await self._exchange(socket, receive)
            finally:
                await _close(socket)
        finally:
            self._is_over = True
            self._emptied.set()

    async def _exchange(self, socket: ClientConnection, receive: Receive) -> UpstreamEnd:
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(self._send_all(socket), name="upstream sender")
            end = await self._receive_all(socket, receive)
            sender.cancel()
        return end

    async def _receive_all(self, socket: ClientConnection, receive: Receive) -> UpstreamEnd:
        try:
            async for payload in socket:
                await receive(
                    Message(payload.encode(), is_text=True)
                    if isinstance(payload, str)
                    else Message(payload, is_text=False)
                )
        except ConnectionClosedError as error:
            return UpstreamEnd.SLOW if self._is_slow else _end_of(error)
        return UpstreamEnd.CLOSED

    async def _send_all(self, socket: ClientConnection) -> None:
        try:
            while True:
                await self._wake.wait()
                while self._send_queue:
                    message = self._send_queue.popleft()
                    async with asyncio.timeout(SEND_S):
                        await socket.send(message.payload, text=message.is_text)
                    self.queued -= message.size
                self._wake.clear()
                self._emptied.set()
        except TimeoutError:
            self._is_slow = True
            socket.transport.abort()  # ends `_receive_all` too
        except ConnectionClosed:
            pass  # `_receive_all` reports it


def _end_of(error: ConnectionClosedError) -> UpstreamEnd:
    if error.sent is None or error.rcvd_then_sent:
        return UpstreamEnd.CLOSED
    return UpstreamEnd.SILENT if error.sent.code == CloseCode.INTERNAL_ERROR else UpstreamEnd.BROKEN


async def _close(socket: ClientConnection) -> None:
    """Close with a handshake within CLOSE_S; the library's own timeout fails while the peer reads nothing."""
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await socket.close()
    finally:  # not only on TimeoutError: before Python 3.11.3 a task that was cancelled earlier gets none
        socket.transport.abort()
