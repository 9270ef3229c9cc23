"""The server that echo sessions are proxied to, and one session's connection there.

Keeps: every wait for the upstream is bounded; what waits to be sent there is counted for whoever bounds it; what comes
from there waits in the socket while `receive` is busy; no error of the library's leaves this file.
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

from gateway.conversation import Message

CONNECT_S: Final = 5.0
"""Name, TCP, TLS and handshake."""
SEND_S: Final = 10.0
"""Until the upstream has taken enough of what it was sent."""
PING_S: Final = 20.0
"""Between pings, and until the pong."""
CLOSE_S: Final = 2.0
MAX_MESSAGE_BYTES: Final = 65_536
"""Of the upstream's, as of our clients'."""
MAX_UNREAD: Final = 4
"""Messages read from the socket that wait for `receive`; then it is read no further."""

_quiet = logging.getLogger("gateway.upstream.websockets")
_quiet.setLevel(logging.WARNING)  # at DEBUG the library logs every frame

Receive = Callable[[Message], Awaitable[None]]


class UpstreamEnd(StrEnum):
    """Why a connection to the upstream is no more, in words for the client's close reason."""

    UNREACHABLE = "unreachable"
    SLOW = "too slow"
    SILENT = "silent"
    CLOSED = "closed"
    BROKEN = "broken"  # what it sent is no WebSocket's, or too long


class Upstream:
    """Where it is. Redirects and the proxy settings of the environment are followed, as the library does."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._tls = ssl.create_default_context() if url.startswith("wss:") else None  # some ms, so once

    def link(self) -> "UpstreamLink":
        """A connection to be."""
        return UpstreamLink(self._connect)

    def _connect(self) -> connect:
        return connect(
            self._url,
            ssl=self._tls,
            compression=None,  # a bomb is a small frame
            open_timeout=CONNECT_S,
            close_timeout=CLOSE_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=MAX_UNREAD,
            logger=_quiet,
        )


class UpstreamLink:
    """One session's connection. `run` is its task."""

    def __init__(self, connecting: Callable[[], connect]) -> None:
        self._connecting = connecting
        self._waiting: deque[Message] = deque()
        self._stirred = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._is_over = False
        self._is_slow = False
        self.queued = 0
        """Bytes that wait to be sent."""

    def send(self, message: Message) -> None:
        """Queue a message; never blocks. Ignored once `run` has returned."""
        if not self._is_over:
            self._waiting.append(message)
            self.queued += message.size
            self._stirred.set()
            self._emptied.clear()

    async def emptied(self) -> None:
        """Return once everything queued is sent, or `run` has returned."""
        await self._emptied.wait()

    async def run(self, receive: Receive) -> UpstreamEnd:
        """Connect, then send what is queued and hand over what comes, until the upstream ends it.

        Cancelled, it closes the connection within about CLOSE_S.
        """
        try:
            socket = await self._connecting()
        except (OSError, WebSocketException):  # TimeoutError is an OSError
            return UpstreamEnd.UNREACHABLE
        else:
            try:
                return await self._converse(socket, receive)
            finally:
                await _close(socket)
        finally:
            self._is_over = True
            self._emptied.set()

    async def _converse(self, socket: ClientConnection, receive: Receive) -> UpstreamEnd:
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
                await self._stirred.wait()
                while self._waiting:
                    message = self._waiting.popleft()
                    async with asyncio.timeout(SEND_S):
                        await socket.send(message.payload, text=message.is_text)
                    self.queued -= message.size
                self._stirred.clear()
                self._emptied.set()
        except TimeoutError:
            self._is_slow = True
            socket.transport.abort()  # ends the receiving side too
        except ConnectionClosed:
            pass  # the receiving side has met the same


def _end_of(error: ConnectionClosedError) -> UpstreamEnd:
    if error.sent is None or error.rcvd_then_sent:
        return UpstreamEnd.CLOSED
    return UpstreamEnd.SILENT if error.sent.code == CloseCode.INTERNAL_ERROR else UpstreamEnd.BROKEN


async def _close(socket: ClientConnection) -> None:
    """Politely, within CLOSE_S; the library's own bound does not hold while the peer reads nothing."""
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await socket.close()
    finally:  # not for a TimeoutError alone: before 3.11.3 a task that was cancelled before gets none
        socket.transport.abort()
