"""The opening handshake of a socket whose request is plain: the scope for the application, and the response.

Other handshakes are left to websockets and uvicorn. docs/connects.md has the savings in time.
"""

from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from uvicorn._types import WebSocketAcceptEvent, WebSocketScope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from websockets.http11 import Response
from websockets.server import ServerProtocol

from gateway.transport.fast_handshake import FastHandshake
from httpapi.security_headers import HEADERS

_SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "


class SecuredProtocol(ServerProtocol):
    """websockets' state machine; every rejection that it, uvicorn or we create has the security headers."""

    def reject(self, status: HTTPStatus | int, text: str) -> Response:
        """The response that rejects the handshake."""
        response = super().reject(status, text)
        response.headers.update(HEADERS)
        return response


def scope_of(
    http: HttpToolsProtocol, request: FastHandshake, config: Config, app_state: dict[str, Any]
) -> WebSocketScope:
    """The ASGI scope, as uvicorn makes it."""
    path, _, query = http.url.partition(b"?")
    return {
        "type": "websocket",
        "asgi": {"version": config.asgi_version, "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "wss" if http.scheme == "https" else "ws",
        "server": http.server,
        "client": http.client,
        "root_path": config.root_path,
        "path": config.root_path + unquote(path.decode()),
        "raw_path": config.root_path.encode() + path,
        "query_string": query,
        "headers": request.headers,
        "subprotocols": request.subprotocols,
        "state": app_state.copy(),
        "extensions": {"websocket.http.response": {}},
    }


def response_to(
    request: FastHandshake, accept: WebSocketAcceptEvent, default_headers: list[tuple[bytes, bytes]]
) -> bytes:
    """The 101 for a request that the application accepts."""
    lines = [_SWITCHING + request.accept]
    lines += [name + b": " + value for name, value in (*default_headers, *accept.get("headers", ()))]
    subprotocol = accept.get("subprotocol")
    if subprotocol:
        lines.append(b"Sec-WebSocket-Protocol: " + subprotocol.encode())
    return b"\r\n".join([*lines, b"\r\n"])
