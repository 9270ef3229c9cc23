"""One connection to Redis as a stream of replies.

redis-py connects (authentication, TLS, database, Unix sockets); after that its own reading costs ten times what this
does: everything that is there in one read, through one hiredis reader (docs/fan-out.md). The only file that uses
redis-py's privates: `_reader` and `_writer`, the asyncio streams of a connection.
"""

import asyncio
import socket
from typing import Any, Self

import hiredis
from redis.asyncio.connection import Connection, UnixDomainSocketConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.redis.endpoint import expect_master, locate

READ_BYTES = 256 * 1024
CONNECT_S = 2.0
DEAD_PEER_MS = 10_000
"""How long the kernel resends into silence before it gives a connection up."""


class StreamBroken(Exception):
    """The connection is gone, or could not be made."""


class Stream:
    """A connection that is open. Every method may raise StreamBroken."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._replies = hiredis.Reader()

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect, within CONNECT_S, once it is known where to: see `endpoint`, which has as long."""
        try:
            server = await locate(url, CONNECT_S)
        except (RedisError, OSError, RuntimeError) as error:
            raise StreamBroken(type(error).__name__) from error
        options: dict[str, Any] = dict(parse_url(server))
        kind = options.pop("connection_class", Connection)
        options |= {"protocol": 2, "socket_connect_timeout": CONNECT_S, "socket_timeout": CONNECT_S}
        options["retry"] = Retry(NoBackoff(), 0)
        if kind is not UnixDomainSocketConnection:
            options |= {"socket_keepalive": True, "socket_keepalive_options": _keepalive()}
        connection = kind(**options)
        try:
            async with asyncio.timeout(CONNECT_S):
                await connection.connect()
                if server != url:
                    await expect_master(connection)
        except BaseException as error:
            _, writer = _take_over(connection)
            if writer is not None:
                writer.transport.abort()
            # TimeoutError is an OSError; RuntimeError is what uvloop says of a transport that was reset meanwhile.
            if isinstance(error, RedisError | OSError | RuntimeError):
                raise StreamBroken(type(error).__name__) from error
            raise
        reader, writer = _take_over(connection)
        if reader is None or writer is None:
            raise StreamBroken("not connected")
        return cls(reader, writer)

    def write(self, commands: bytes) -> None:
        """Hand packed commands to the socket; never blocks."""
        if self._writer.is_closing():
            raise StreamBroken("closing")
        self._writer.write(commands)

    async def read(self) -> list[Any]:
        """Wait for data; return every reply that is complete. An error reply is a value of type ReplyError."""
        replies: list[Any] = []
        while not replies:
            try:
                data = await self._reader.read(READ_BYTES)
            except OSError as error:
                raise StreamBroken(type(error).__name__) from error
            if not data:
                raise StreamBroken("closed by Redis")
            try:
                self._replies.feed(data)
                while (reply := self._replies.gets()) is not False:
                    replies.append(reply)
            except hiredis.ProtocolError as error:
                raise StreamBroken(str(error)) from error
        return replies

    def close(self) -> None:
        """Drop the connection at once."""
        self._writer.transport.abort()


def _take_over(connection: Connection) -> tuple[asyncio.StreamReader | None, asyncio.StreamWriter | None]:
    """The connection's asyncio streams, which are ours from here on: its finalizer would warn of a socket left open."""
    reader, writer = connection._reader, connection._writer
    connection._reader = connection._writer = None
    return reader, writer


def _keepalive() -> dict[int, int]:
    """What this platform has of TCP's ways to notice a dead peer."""
    wanted = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": DEAD_PEER_MS}
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}


def pack(*words: str | bytes | int) -> bytes:
    """A command as Redis reads it."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub names a tuple of one
    return packed
