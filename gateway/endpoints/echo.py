"""Connects a user to the echo channel of seed 003, with a token or a ticket."""

from dataclasses import dataclass
from functools import partial

from starlette.websockets import WebSocket

from gateway.authentication.authenticator import Authenticator
from gateway.endpoints.base import PendingSession
from gateway.sessions.echo import EchoService


@dataclass(frozen=True, slots=True)
class EchoEndpoint:
    """Requires a token or ticket of any user."""

    identity: Authenticator
    echo: EchoService

    @property
    def name(self) -> str:
        """The label in metrics and logs."""
        return "echo"

    async def admit(self, websocket: WebSocket) -> PendingSession:
        """Authenticate the caller.

        Raises: Problem, StorageUnavailable, RedisUnavailable.
        """
        caller = await self.identity.caller(websocket)
        return PendingSession(caller.subprotocol, partial(self.echo.session, caller.person.id, caller.credential))
