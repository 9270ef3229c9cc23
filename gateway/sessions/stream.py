"""The sessions of a client without WebSockets: the stream that it reads, and the commands that it sends one by one."""

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.dialects.base import Request
from gateway.interfaces.connection import DECODED_BYTES_PER_COST, NO_LIMIT, ConnectionListener
from gateway.protocol.codes import Close, Disconnect, ErrorCode
from gateway.protocol.commands import Refresh, Subscribe, SubscribePresence, Unsubscribe
from gateway.protocol.frames import FrameSink
from gateway.protocol.replies import ErrorReply, Reply
from gateway.sessions.command_limits import CommandLimits, CommandRates
from gateway.sessions.context import Peer, SessionContext
from gateway.sessions.native import NativeSession

OF_A_SOCKET: Final = (Subscribe, Unsubscribe, SubscribePresence, Refresh)
"""Commands that change a socket; of a stream, its URL says what they would."""
_NOT_HERE: Final = ErrorReply(ErrorCode.UNKNOWN_TYPE, "This command is for WebSockets: a stream has it in its URL")
_UNLIMITED: Final = CommandLimits(CommandRates()).of_socket(0)


class StreamSession(NativeSession):
    """Ends when a subscription fails for a while: the client cannot subscribe again, but it reconnects and resumes."""

    def refuse(self, error: ErrorReply, request: Request | None) -> None:
        """Reject as every session does; a subscription that may succeed later ends the stream."""
        super().refuse(error, request)
        if request is None or not isinstance(request.command, Subscribe):
            return
        if error.code in (ErrorCode.UNAVAILABLE, ErrorCode.RATE_LIMITED):
            retry_after_ms = round(1000 * (error.retry_after_s or 1))
            self.close(Disconnect(Close.INTERNAL, f'{{"retry_after_ms":{retry_after_ms}}}'))


class OneCommand(NativeSession):
    """Handles one command of a user; nothing of it is registered. No limit counts unless `is_limited`."""

    def __init__(self, context: SessionContext, peer: Peer, *, is_limited: bool = True) -> None:
        super().__init__(context, peer, "", _NoSocket(), lambda *_: None)
        self._reply: asyncio.Future[tuple[Reply, Request | None]] = asyncio.get_running_loop().create_future()
        if not is_limited:
            self._limits = _UNLIMITED
            self._commands.is_limited = False

    async def run(self, decoded: Request | ErrorReply) -> tuple[Reply, Request | None]:
        """Execute the command that the dialect has decoded; its reply, and the request, if it could be decoded."""
        self._take(decoded)
        return await self._reply

    def answer(self, reply: Reply, request: Request | None) -> None:
        """Keep the reply."""
        if not self._reply.done():
            self._reply.set_result((reply, request))

    def _handle_now(self, request: Request) -> bool:
        if isinstance(request.command, OF_A_SOCKET):
            self.refuse(_NOT_HERE, request)
            return True
        return super()._handle_now(request)


class _NoSocket:
    """Implements Connection, to which nothing is written."""

    buffered = 0

    def attach(self, listener: ConnectionListener, bytes_per_cost: int = DECODED_BYTES_PER_COST) -> None:
        """Deliver nothing."""

    def serve(self, outlet: FrameSink) -> None:
        """Nothing is written."""

    def write(self, frames: bytes, limit: int = NO_LIMIT) -> bool:
        """Discard the frames."""
        return True

    async def drained(self) -> bool:
        """There is always room."""
        return True

    def pause_reading(self) -> None:
        """There is one command only."""

    def resume_reading(self) -> None:
        """There is one command only."""

    def close(self, code: int, reason: str = "") -> None:
        """Nothing is open."""

    def when_closed(self, call: Callable[[int], None] | None) -> bool:
        """Nothing is open."""
        return True
