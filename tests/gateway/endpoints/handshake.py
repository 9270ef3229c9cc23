"""A stand-in for a handshake."""

from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response


class Handshake:
    """A handshake of a program, which hears why it is refused."""

    def __init__(self) -> None:
        self.headers = Headers()
        self.client = None
        self.scope: dict[str, Any] = {}
        self.connection = self
        self.status = 0

    def when_closed(self, call: object) -> bool:
        return True

    async def reject(self, response: Response) -> None:
        self.status = response.status_code

    async def accept(self, subprotocol: str | None) -> None: ...
