"""Into the echo channel of seed 003, with a token or the link's ticket."""

from dataclasses import dataclass

from starlette.websockets import WebSocket

from gateway.echo import Echo, EchoSession
from gateway.entrances.base import Entry, OnClosed
from gateway.entrances.sessions import SessionEntry
from gateway.identity import Identity
from gateway.lane import Lane


@dataclass(frozen=True, slots=True)
class EchoEntrance:
    """For every user."""

    identity: Identity
    echo: Echo

    @property
    def name(self) -> str:
        """A label."""
        return "echo"

    async def enter(self, websocket: WebSocket) -> Entry:
        """Find the caller.

        Raises: Problem, StorageUnavailable, RedisUnavailable.
        """
        caller = await self.identity.caller(websocket)

        def open_session(lane: Lane, on_closed: OnClosed) -> EchoSession:
            return self.echo.session(lane, caller.person.id, caller.expires_at, on_closed)

        return SessionEntry(caller.subprotocol, open_session)
