"""The fast path of the opening handshake: a common request is parsed once, by the HTTP parser.

Any other request is passed unchanged to websockets, which parses it again and can reject it. docs/connects.md has the
savings. Pure functions without a socket.

Keeps: websockets would accept every request that is accepted here, with the same response (RFC 6455 §4.2).
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha1
from typing import Final

from msgspec import Struct

MAX_LINE_BYTES: Final = 8000
"""The longest request line or header; websockets rejects those over 8 KiB."""
MAX_HEADERS: Final = 128
"""The same maximum as in websockets."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_KEY: Final = re.compile(rb"[A-Za-z0-9+/]{22}==")
_TOKENS: Final = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+(?:[ \t]*,[ \t]*[-!#$%&'*+.^_`|~0-9a-zA-Z]+)*")
_ONCE: Final = frozenset(
    {
        b"connection",
        b"upgrade",
        b"origin",
        b"sec-websocket-key",
        b"sec-websocket-version",
        b"sec-websocket-protocol",
    }
)
_NEVER: Final = frozenset({b"content-length", b"transfer-encoding"})


class FastHandshake(Struct, frozen=True, gc=False):
    """The parts of the request that the application and the response need."""

    headers: list[tuple[bytes, bytes]]
    """In the order of the request, with names in lower case."""
    accept: bytes
    """Sec-WebSocket-Accept of the response."""
    subprotocols: list[str]
    """The subprotocols that the client offers, in its order."""


def plain_handshake(url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> FastHandshake | None:
    """Parse an HTTP/1.1 GET with these headers (names in lower case); None if the fast path does not cover it."""
    if len(url) > MAX_LINE_BYTES or len(headers) > MAX_HEADERS:
        return None
    values: dict[bytes, bytes] = {}
    stripped = []
    for name, raw in headers:
        value = raw.strip(b" \t")
        if name in _NEVER or len(name) + len(value) > MAX_LINE_BYTES:
            return None
        if name in _ONCE:
            if name in values:
                return None
            values[name] = value
        stripped.append((name, value))
    key, connection = values.get(b"sec-websocket-key", b""), values.get(b"connection", b"")
    offered = values.get(b"sec-websocket-protocol")
    if (
        not _KEY.fullmatch(key)
        or values.get(b"sec-websocket-version") != b"13"
        or values.get(b"upgrade", b"").lower() != b"websocket"
        or not _TOKENS.fullmatch(connection)
        or "upgrade" not in _words(connection.lower())
        or (offered is not None and not _TOKENS.fullmatch(offered))
    ):
        return None
    accept = b64encode(sha1(key + _GUID, usedforsecurity=False).digest())
    return FastHandshake(stripped, accept, [] if offered is None else _words(offered))


def _words(value: bytes) -> list[str]:
    return [word.strip(" \t") for word in value.decode().split(",")]
