"""The quick way through an opening handshake: a request like nearly every client's is read once, by the HTTP parser.

Whatever else comes is left to websockets, whole: it reads the request again, and knows how to refuse it. What that
saves: docs/connects.md. Pure: it knows no socket.

Keeps: what is taken here, websockets would take too, with the same answer (RFC 6455 §4.2).
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Final

MAX_LINE_BYTES: Final = 8000
"""Of a request line or header; websockets refuses those over 8 KiB."""
MAX_HEADERS: Final = 128
"""As there."""

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


@dataclass(frozen=True, slots=True)
class PlainHandshake:
    """What the application and the answer need of it."""

    headers: list[tuple[bytes, bytes]]
    """Names in lower case, as they came."""
    accept: bytes
    """The answer's Sec-WebSocket-Accept."""
    subprotocols: list[str]
    """Those that the client offers, in its order."""


def plain_handshake(url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> PlainHandshake | None:
    """A GET of HTTP/1.1 with these headers, names in lower case; None if it is anything but plain."""
    if len(url) > MAX_LINE_BYTES or len(headers) > MAX_HEADERS:
        return None
    seen: dict[bytes, bytes] = {}
    stripped = []
    for name, raw in headers:
        value = raw.strip(b" \t")
        if name in _NEVER or len(name) + len(value) > MAX_LINE_BYTES:
            return None
        if name in _ONCE:
            if name in seen:
                return None
            seen[name] = value
        stripped.append((name, value))
    key, connection = seen.get(b"sec-websocket-key", b""), seen.get(b"connection", b"")
    offered = seen.get(b"sec-websocket-protocol")
    if (
        not _KEY.fullmatch(key)
        or seen.get(b"sec-websocket-version") != b"13"
        or seen.get(b"upgrade", b"").lower() != b"websocket"
        or not _TOKENS.fullmatch(connection)
        or "upgrade" not in _words(connection.lower())
        or (offered is not None and not _TOKENS.fullmatch(offered))
    ):
        return None
    accept = b64encode(sha1(key + _GUID, usedforsecurity=False).digest())
    return PlainHandshake(stripped, accept, [] if offered is None else _words(offered))


def _words(value: bytes) -> list[str]:
    return [word.strip(" \t") for word in value.decode().split(",")]
