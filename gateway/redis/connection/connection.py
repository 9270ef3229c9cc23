"""One connection to Redis as a stream of replies.

redis-py connects (authentication, TLS, database, Unix sockets). After that this class takes the place of asyncio's
stream: all available data goes through one hiredis reader to what serves the connection, without a task in between.
That costs a tenth of redis-py's reading (docs/fan-out.md). This is the only file that uses private attributes of
redis-py: `_reader` and `_writer`, the asyncio streams of a connection.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final, Self

import hiredis
from redis.asyncio.connection import Connection, UnixDomainSocketConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from gateway.config.redis_url import SentinelUrl
from gateway.errors import RedisAccessRefused, RedisConnectionLost

CONNECT_S = 2.0
DEAD_PEER_MS = 10_000
"""How long the kernel retransmits without an acknowledgement before it drops the connection."""


REFUSALS: Final = {
    "WRONGPASS": "Redis rejects the user or password of REDIS_URL (WRONGPASS)",
    "NOAUTH": "Redis wants a password, and REDIS_URL has none (NOAUTH)",
    "NOPERM": "Redis grants the user of REDIS_URL too few rights (NOPERM)",
}
"""Configuration errors, which retrying cannot fix, by the first word of Redis' error. They name no host and no user."""
_CLOSED: Final = "closed by Redis"
_CLOSED_HERE: Final = "closed by this node"
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


class ServerConnection(asyncio.Protocol):
    """An open connection. Every async method and `write` may raise RedisConnectionLost."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        """Kept, since it closes the transport when it is collected."""
        self._transport = writer.transport
        self._parser = hiredis.Reader()
        self._unread: list[Any] = []
        self._take: Callable[[list[Any]], bool] | None = None
        self._served: asyncio.Future[None] | None = None
        self._lost_by = ""
        """Why the connection is lost; empty while it is open."""
        self._is_closed_here = False

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
        if reader is None or writer is None or reader.at_eof():
            raise RedisConnectionLost("not connected")
        stream = cls(writer)
        writer.transport.set_protocol(stream)
        return stream

    def write(self, commands: bytes) -> None:
        """Hand packed commands to the socket; never blocks."""
        if self._transport.is_closing():
            raise RedisConnectionLost("closing")
        self._transport.write(commands)

    async def read(self) -> list[Any]:
        """Wait for data and return every complete reply. An error reply is returned as a ReplyError."""
        replies: list[Any] = []

        def take(read: list[Any]) -> bool:
            replies.extend(read)
            return True

        await self.serve(take)
        return replies

    async def serve(self, take: Callable[[list[Any]], bool]) -> None:
        """Call `take` with the replies of each read, in the turn of the event loop that received them.

        Returns once `take` has returned True, and raises what it raises.
        """
        self._take, self._served = take, asyncio.get_running_loop().create_future()
        try:
            if self._unread:
                self._hand_over()
            if self._lost_by:
                self._end(RedisConnectionLost(self._lost_by))
            await self._served
        finally:
            self._take = self._served = None

    def _hand_over(self) -> None:
        if self._take is None:
            return  # between a command and the call that awaits its reply
        replies, self._unread = self._unread, []
        try:
            if self._take(replies):
                self._end(None)
        except Exception as error:
            self._end(error)

    def _end(self, error: Exception | None) -> None:
        self._take = None
        if self._served is None or self._served.done():
            return
        if error is None:
            self._served.set_result(None)
        else:
            self._served.set_exception(error)

    # --- asyncio

    def data_received(self, data: bytes) -> None:
        """Parse replies, and hand over those that are complete."""
        if self._lost_by:
            return
        try:
            self._parser.feed(data)
            while (reply := self._parser.gets()) is not False:
                self._unread.append(reply)
        except hiredis.ProtocolError as error:
            self._lose(str(error))
        else:
            if self._unread:
                self._hand_over()

    def eof_received(self) -> None:
        """Redis has closed its side."""
        self._lose(_CLOSED)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection was closed by either side, or broke."""
        closed = _CLOSED_HERE if self._is_closed_here else _CLOSED
        self._lose(closed if error is None else type(error).__name__)

    def _lose(self, reason: str) -> None:
        self._lost_by = self._lost_by or reason
        self._end(RedisConnectionLost(self._lost_by))

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
        """Drop the connection at once, as when no reply came in time."""
        self._is_closed_here = True
        self._transport.abort()


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
