"""The session of an event stream: a native session whose subscriptions are those of its URL."""

from gateway.dialects.base import Request
from gateway.protocol.codes import Close, Disconnect, ErrorCode
from gateway.protocol.commands import Subscribe
from gateway.protocol.replies import ErrorReply
from gateway.sessions.native import NativeSession


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
