"""What an endpoint, one per URL family, gives to the acceptor."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from gateway.endpoints.handshake import Handshake
from gateway.interfaces.connection import Connection
from gateway.interfaces.session import OnClosed, OpenSession


class PendingSession(Struct, frozen=True, gc=False):
    """A request that passed all checks; the resources of its session are reserved.

    `subprotocol` is the one that the handshake selects, if any. `open` creates the session: it is called exactly once,
    before accept, with no await in between, and never blocks.
    """

    subprotocol: str | None
    open: Callable[[Connection, OnClosed], OpenSession]


def asks_for_warning(handshake: Handshake) -> bool:
    """Whether the client asks to be warned before its token expires (`?refresh=1`)."""
    return handshake.query_params.get("refresh") == "1"


class Endpoint(Protocol):
    """The checks of one WebSocket URL family."""

    @property
    def name(self) -> str:
        """A short constant: the label in metrics and logs."""
        ...

    async def admit(self, handshake: Handshake) -> PendingSession:
        """Check the request, and reserve what the session needs.

        Raises: Problem (the response to the handshake), StorageUnavailable, RedisUnavailable.
        """
        ...
