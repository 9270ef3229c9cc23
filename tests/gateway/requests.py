"""Requests and handshakes in the form of the server, without a server."""

from collections.abc import Sequence
from urllib.parse import urlencode

from starlette.requests import HTTPConnection


def connection(
    *headers: tuple[str, str],
    kind: str = "http",
    method: str = "GET",
    scheme: str = "http",
    host: str = "chat.example",
    query: Sequence[tuple[str, str]] = (),
    subprotocols: Sequence[str] = (),
) -> HTTPConnection:
    """A request to `host` (or, of kind `websocket`, a handshake)."""
    scope = {
        "type": kind,
        "scheme": scheme.replace("http", "ws") if kind == "websocket" else scheme,
        "path": "/",
        "query_string": urlencode(query).encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in (("Host", host), *headers)],
        "client": ("203.0.113.9", 1),
    }
    scope |= {"subprotocols": list(subprotocols)} if kind == "websocket" else {"method": method}
    return HTTPConnection(scope)
