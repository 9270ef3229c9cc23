"""A session, as the rest of the node uses it. Implemented by `gateway.sessions`.

`OpenSession` is the state of a socket from its handshake to its close; `Recipient` is what a subscription to one chat
writes to; `LocalClient` is a recipient of notices outside of any chat.
"""

from collections.abc import Callable
from typing import Protocol

from gateway.dialects.base import Dialect
from gateway.protocol.codes import Disconnect
from gateway.protocol.frames import FrameSink
from gateway.protocol.replies import Reply
from storage.auth_records import Credential
from storage.records import Person


class OpenSession(Protocol):
    """The state of an open socket, as the acceptor, the drain, the token expiry and the metrics use it."""

    @property
    def credential(self) -> Credential:
        """What the token says; without a token its `user_id` is None, and it never expires."""
        ...

    @property
    def log_fields(self) -> dict[str, object]:
        """The ids that identify the session in the log; never a token."""
        ...

    @property
    def buffered(self) -> int:
        """Bytes written but not yet accepted by the kernel."""
        ...

    def attach(self) -> None:
        """Start to receive messages: the handshake is complete."""
        ...

    def abandon(self) -> None:
        """Release what the session holds, as the handshake failed; `on_closed` is never called."""
        ...

    def warn_of_expiry(self, now: float) -> None:
        """Warn a client that asked for it, once, if its token expires soon; `now` is in Unix seconds."""
        ...

    def rename(self, person: Person) -> None:
        """The user has these names from now on."""
        ...

    def close(self, disconnect: Disconnect) -> None:
        """Close the socket, once it is open; earlier frames are written first. Never blocks."""
        ...


OnClosed = Callable[[OpenSession, int], None]
"""Called once, after `attach`, with the close code when the socket is closed."""


class Recipient(Protocol):
    """The session, or its part for one chat, that a subscription writes to; only `wait_writable` blocks."""

    @property
    def dialect(self) -> Dialect:
        """The JSON format of the session."""
        ...

    @property
    def outlet(self) -> FrameSink:
        """The sink of its frames; a sink that cannot accept frames closes its client."""
        ...

    def tell(self, reply: Reply) -> None:
        """Send an unsolicited reply to this session alone, in its dialect."""
        ...

    async def wait_writable(self) -> bool:
        """Return once its send queue has room for another page; False if it is closed."""
        ...

    def close(self, disconnect: Disconnect) -> None:
        """Close the session, or end its part for the chat; frames that were queued before are written first."""
        ...


class LocalClient(Recipient, Protocol):
    """A multi-chat session, which accepts notices outside of any chat; hashable by identity."""

    @property
    def client_id(self) -> str:
        """The label that the client chose; several sockets may have the same."""
        ...

    @property
    def connection_id(self) -> str:
        """The unique id of its socket."""
        ...

    @property
    def person(self) -> Person | None:
        """The authenticated user; None without a valid token."""
        ...

    def is_subscribed(self, chat_id: int) -> bool:
        """Whether the socket receives the pushes of this chat already."""
        ...
