"""One chat of a multi-chat session: closing it ends this subscription, never the socket."""

from collections.abc import Callable

from msgspec.structs import replace

from gateway.delivery.subscription import Subscription
from gateway.dialects.base import Dialect, Request
from gateway.protocol.codes import Disconnect
from gateway.protocol.frames import FrameSink
from gateway.protocol.refusals import NOT_SUBSCRIBED, not_in_chat
from gateway.protocol.replies import ErrorReply, Established, Reply
from gateway.sessions.session import Session


class NativeSubscription:
    """Implements Recipient. The subscribe request gets one reply: when the position is established, or on failure.

    `on_evicted` is called when the user may no longer see the chat; it never blocks.
    """

    __slots__ = ("_is_answered", "_on_evicted", "_request", "_session", "subscription")

    subscription: Subscription
    """Set by the creator directly after construction."""

    def __init__(self, session: Session, request: Request, on_evicted: Callable[["NativeSubscription"], None]) -> None:
        self._session = session
        self._request = request
        self._on_evicted = on_evicted
        self._is_answered = False

    @property
    def dialect(self) -> Dialect:
        """The JSON format of the session."""
        return self._session.dialect

    @property
    def outlet(self) -> FrameSink:
        """The send queue of the session."""
        return self._session.outlet

    async def wait_writable(self) -> bool:
        """Wait until the session has room for a page; False if it is closed."""
        return await self._session.wait_writable()

    def tell(self, reply: Reply) -> None:
        """Write an unsolicited reply; the greeting is the reply to the subscribe request."""
        if isinstance(reply, Established):
            self._is_answered = True
            self._session.answer(reply, self._request)
            self._session.done(self._request)
        else:
            self._session.answer(reply, None)

    def fail(self, error: ErrorReply) -> None:
        """Report its end: as the reply to its request or, if that is answered, as an error in its chat with no id."""
        request = replace(self._request, ref=None) if self._is_answered else self._request
        self._is_answered = True
        self._session.refuse(error, request)

    def supersede(self) -> None:
        """End it on request of the client; a pending subscribe request gets an error."""
        if not self._is_answered:
            self.fail(NOT_SUBSCRIBED)

    def close(self, _: Disconnect) -> None:
        """End the subscription, and notify the client of the reason."""
        if not self._is_answered:
            self.fail(not_in_chat())
        self._on_evicted(self)
