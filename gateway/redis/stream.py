"""One connection to Redis as a stream of replies.

redis-py connects (authentication, TLS, database, Unix sockets); after that its own reading costs ten times what this
does: everything that is there in one read, through one hiredis reader (docs/fan-out.md). The only file that uses
redis-py's privates: `_reader` and `_writer`, the asyncio streams of a connection.
"""

import asyncio
import socket
from contextlib import suppress
from typing import Any, Self

import hiredis
from redis.asyncio.connection import Connection, UnixDomainSocketConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.sentinel_url import SentinelUrl

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
        """Connect, within CONNECT_S; behind Sentinels, to whom they name, if it is a master, within thrice that."""
        named = SentinelUrl.parse(url)
        if named is None:
            return await cls._connect(url)
        stream = await cls._connect(await cls._master(named))
        try:
            role = await stream._ask("ROLE")
            if role[0] != b"master":  # it hears what others publish, but nobody hears what is published there
                raise StreamBroken("not a master")
        except BaseException:
            stream.close()
            raise
        return stream

    @classmethod
    async def _master(cls, named: SentinelUrl) -> str:
        """Its URL. Sentinels are asked anew each time, one after the other: each has its share of CONNECT_S."""
        for sentinel in named.sentinels:
            with suppress(StreamBroken, TimeoutError):
                async with asyncio.timeout(CONNECT_S / len(named.sentinels)):
                    stream = await cls._connect(sentinel)
                    try:
                        address = await stream._ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", named.service)
                    finally:
                        stream.close()
                if address is not None:
                    host, port = address
                    return named.redis(host.decode(), int(port))
        raise StreamBroken("no Sentinel knows of a master")

    @classmethod
    async def _connect(cls, url: str) -> Self:
        options: dict[str, Any] = dict(parse_url(url))
        kind = options.pop("connection_class", Connection)
        # The time limit is ours alone: for its own, redis-py sends by `asyncio.wait_for`, which before 3.12 loses
        # a cancellation that comes together with the end of what it waits for; a node that leaves would wait for ever.
        options |= {"protocol": 2, "socket_connect_timeout": None, "socket_timeout": None}
        options["retry"] = Retry(NoBackoff(), 0)
        if kind is not UnixDomainSocketConnection:
            options |= {"socket_keepalive": True, "socket_keepalive_options": _keepalive()}
        connection = kind(**options)
        try:
            async with asyncio.timeout(CONNECT_S):
                await connection.connect()
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

    async def _ask(self, *words: str) -> Any:
        """The answer to a command, where nothing else is under way, within CONNECT_S."""
        self.write(pack(*words))
        try:
            async with asyncio.timeout(CONNECT_S):
                (reply,) = await self.read()
        except TimeoutError:
            raise StreamBroken("silent") from None
        if isinstance(reply, hiredis.ReplyError):
            raise StreamBroken(str(reply))
        return reply

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
