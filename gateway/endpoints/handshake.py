"""The handshake of one WebSocket: its request, and the ways to respond to it.

Starlette's own object also reads and writes messages, which here pass it by (`gateway.interfaces.connection`).
"""

from collections.abc import Callable
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.interfaces.connection import CONNECTION, Connection

Header = tuple[bytes, bytes]
Wrap = Callable[[ASGIApp], ASGIApp]
"""Adds the headers of every response."""


def _as_it_is(app: ASGIApp) -> ASGIApp:
    return app


class Handshake(HTTPConnection):
    """One of `accept` and `reject` is called, once; `close` may follow `accept`.

    `accept` and `reject` raise OSError if the client is gone.
    """

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, headers: tuple[Header, ...] = (), wrap: Wrap = _as_it_is
    ) -> None:
        """The response has these `headers` if the handshake is accepted, else those that `wrap` adds."""
        super().__init__(scope)
        self.connection: Final[Connection] = scope["extensions"][CONNECTION]
        self._receive = receive
        self._send = send
        self._headers_of_accept = headers
        self._wrap = wrap

    async def accept(self, subprotocol: str | None) -> None:
        """Respond with 101."""
        await self._send(
            {"type": "websocket.accept", "subprotocol": subprotocol, "headers": [*self._headers_of_accept]}
        )

    async def close(self, code: int, reason: str) -> None:
        """Close the accepted socket."""
        await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def reject(self, response: Response) -> None:
        """Send this response."""
        await self._wrap(response)(self.scope, self._receive, self._send)
