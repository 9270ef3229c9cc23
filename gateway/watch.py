"""One chat of a session of many: what the core does to it ends this subscription, and never the socket."""

from dataclasses import replace
from typing import Protocol

from gateway.codes import Disconnect
from gateway.dialects.base import Dialect, Request
from gateway.messages import ErrorReply, Established, Reply
from gateway.outlet import Outlet
from gateway.refusals import NOT_SUBSCRIBED, not_in_chat
from gateway.subscription import Subscription


class Watcher(Protocol):
    """The session, as its watches see it."""

    dialect: Dialect

    @property
    def outlet(self) -> Outlet:
        """Where frames for it go out."""
        ...

    async def room(self) -> bool:
        """Return once its outbox has room for another page; False if it is closed."""
        ...

    def answer(self, reply: Reply, request: Request | None) -> None:
        """Write the answer to a request."""
        ...

    def refuse(self, error: ErrorReply, request: Request | None) -> None:
        """Write an error, and count it."""
        ...

    def done(self, request: Request, seconds: float | None = None) -> None:
        """Count a command that was carried out."""
        ...

    def on_evicted(self, watch: "Watch") -> None:
        """Its user may not see the chat any longer; never blocks."""
        ...


class Watch:
    """Meets Recipient. The request that began it is answered once: when it is live in the chat, or when it fails."""

    subscription: Subscription
    """Set by whoever made this, at once."""

    def __init__(self, session: Watcher, request: Request) -> None:
        self._session = session
        self._request = request
        self._is_answered = False

    @property
    def dialect(self) -> Dialect:
        """How it is spoken to."""
        return self._session.dialect

    @property
    def outlet(self) -> Outlet:
        """The session's."""
        return self._session.outlet

    async def room(self) -> bool:
        """Return once the session has room for a page; False if it is closed."""
        return await self._session.room()

    def tell(self, reply: Reply) -> None:
        """Write an unasked reply; the greeting is the answer to the request."""
        if isinstance(reply, Established):
            self._is_answered = True
            self._session.answer(reply, self._request)
            self._session.done(self._request)
        else:
            self._session.answer(reply, None)

    def fail(self, error: ErrorReply) -> None:
        """Say that it has ended: as the answer to its request, or else, without an id, as an error in its chat."""
        request = replace(self._request, ref=None) if self._is_answered else self._request
        self._is_answered = True
        self._session.refuse(error, request)

    def supersede(self) -> None:
        """It ends because the client wants so; a request that was not answered yet is."""
        if not self._is_answered:
            self.fail(NOT_SUBSCRIBED)

    def close(self, _: Disconnect) -> None:
        """End it, and tell the client why."""
        if not self._is_answered:
            self.fail(not_in_chat())
        self._session.on_evicted(self)
