"""One connection to Redis as a stream of replies.

redis-py connects (authentication, TLS, database, Unix sockets). After that this class reads all available data at once
through one hiredis reader, which costs a tenth of redis-py's reading (docs/fan-out.md). This is the only file that uses
private attributes of redis-py: `_reader` and `_writer`, the asyncio streams of a connection.
"""

import asyncio
import socket
from typing import Any, Final, Self

import hiredis
from redis.asyncio.connection import Connection, UnixDomainSocketConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from gateway.config.redis_url import SentinelUrl
from gateway.errors import RedisAccessRefused, RedisConnectionLost

READ_BYTES = 256 * 1024
CONNECT_S = 2.0
DEAD_PEER_MS = 10_000
"""How long the kernel retransmits without an acknowledgement before it drops the connection."""


REFUSALS: Final = {
    "WRONGPASS": "Redis rejects the user or password of REDIS_URL (WRONGPASS)",
    "NOAUTH": "Redis wants a password, and REDIS_URL has none (NOAUTH)",
    "NOPERM": "Redis grants the user of REDIS_URL too few rights (NOPERM)",
}
"""Configuration errors, which retrying cannot fix, by the first word of Redis' error. They name no host and no user."""
_IN_A_SCRIPT: Final = ("ACL failure in script", "can't run this command or subcommand")  # of Redis ≥ 7, and before


def refusal_of(error: str) -> str:
    """The text of REFUSALS for an error reply; empty if it is another error."""
    code = error.partition(" ")[0]
    if code not in REFUSALS and any(words in error for words in _IN_A_SCRIPT):
        code = "NOPERM"
    return REFUSALS.get(code, "")


def lost_by(error: str) -> RedisConnectionLost:
    """The exception for an error reply that makes a connection useless."""
    reason = refusal_of(error)
    return RedisAccessRefused(error, reason) if reason else RedisConnectionLost(error)


class ServerConnection:
    """An open connection. Every method may raise RedisConnectionLost."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._replies = hiredis.Reader()

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect within CONNECT_S; with Sentinels to the master that they name, within three times CONNECT_S."""
        named = SentinelUrl.parse(url)
        if named is None:
            return await cls._connect(url)
        stream = await cls._connect(await cls._master(named))
        try:
            role = await stream._ask("ROLE")
            if role[0] != b"master":  # a replica receives publications, but does not replicate its own
                raise RedisConnectionLost("not a master")
        except BaseException:
            stream.close()
            raise
        return stream

    @classmethod
    async def _master(cls, named: SentinelUrl) -> str:
        """The master's URL. Each connect queries the Sentinels in turn, each with an equal share of CONNECT_S."""
        refused: RedisAccessRefused | None = None
        for sentinel in named.sentinels:
            try:
                async with asyncio.timeout(CONNECT_S / len(named.sentinels)):
                    stream = await cls._connect(sentinel)
                    try:
                        address = await stream._ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", named.service)
                    finally:
                        stream.close()
                if address is not None:
                    host, port = address
                    return named.redis(host.decode(), int(port))
            except RedisAccessRefused as error:
                refused = error
            except (RedisConnectionLost, TimeoutError):
                continue
        if refused is not None:
            raise refused
        raise RedisConnectionLost("no Sentinel knows of a master")

    @classmethod
    async def _connect(cls, url: str) -> Self:
        options: dict[str, Any] = dict(parse_url(url))
        kind = options.pop("connection_class", Connection)
        # Only the timeout below applies. With a timeout of its own, redis-py uses `asyncio.wait_for`, which before
        # Python 3.12 loses a cancellation that coincides with completion; a node that shuts down would never end.
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
            if isinstance(error, AuthenticationError | NoPermissionError):
                message = f"{error.status_code or 'WRONGPASS'} {error}"
                raise RedisAccessRefused(message, refusal_of(message) or REFUSALS["WRONGPASS"]) from error
            # TimeoutError is an OSError; uvloop raises RuntimeError for a transport that was reset meanwhile.
            if isinstance(error, RedisError | OSError | RuntimeError):
                raise RedisConnectionLost(type(error).__name__) from error
            raise
        reader, writer = _take_over(connection)
        if reader is None or writer is None:
            raise RedisConnectionLost("not connected")
        return cls(reader, writer)

    def write(self, commands: bytes) -> None:
        """Hand packed commands to the socket; never blocks."""
        if self._writer.is_closing():
            raise RedisConnectionLost("closing")
        self._writer.write(commands)

    async def read(self) -> list[Any]:
        """Wait for data and return every complete reply. An error reply is returned as a ReplyError."""
        replies: list[Any] = []
        while not replies:
            try:
                data = await self._reader.read(READ_BYTES)
            except OSError as error:
                raise RedisConnectionLost(type(error).__name__) from error
            if not data:
                raise RedisConnectionLost("closed by Redis")
            try:
                self._replies.feed(data)
                while (reply := self._replies.gets()) is not False:
                    replies.append(reply)
            except hiredis.ProtocolError as error:
                raise RedisConnectionLost(str(error)) from error
        return replies

    async def _ask(self, *words: str) -> Any:
        """The reply to a command within CONNECT_S; no other command may be pending."""
        self.write(pack(*words))
        try:
            async with asyncio.timeout(CONNECT_S):
                (reply,) = await self.read()
        except TimeoutError:
            raise RedisConnectionLost("silent") from None
        if isinstance(reply, hiredis.ReplyError):
            raise lost_by(str(reply))
        return reply

    def close(self) -> None:
        """Drop the connection at once."""
        self._writer.transport.abort()


def _take_over(connection: Connection) -> tuple[asyncio.StreamReader | None, asyncio.StreamWriter | None]:
    """Detach the connection's asyncio streams, so that its finalizer does not warn about an open socket."""
    reader, writer = connection._reader, connection._writer
    connection._reader = connection._writer = None
    return reader, writer


def _keepalive() -> dict[int, int]:
    """The TCP options that detect a dead peer, as far as this platform has them."""
    wanted = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": DEAD_PEER_MS}
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}


def pack(*words: str | bytes | int) -> bytes:
    """A command in Redis' wire format."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub names a tuple of one
    return packed
