"""A guest's socket in a room: it listens, and has nothing to say."""

from gateway.dialects.base import Request
from gateway.placed_session import PlacedSession


class RoomSession(PlacedSession):
    """Its dialect reads no commands: what comes in is counted as refused, and closes the socket when it is abuse."""

    def _handle_now(self, request: Request) -> bool:
        raise NotImplementedError("rooms have no commands")

    async def _handle(self, request: Request) -> None:
        raise NotImplementedError("rooms have no commands")
