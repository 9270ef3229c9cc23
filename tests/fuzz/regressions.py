"""Cases that failed once. scripts/fuzz prints a new one in this form: its name, its target and its pieces."""

from collections.abc import Mapping
from typing import Final

REGRESSIONS: Final[Mapping[str, tuple[str, *tuple[bytes, ...]]]] = {
    "a request in the body of one that offers another protocol": (
        "http",
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 35\r\n\r\n",
        b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    "a request behind one that offers another protocol": (
        "http",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    "a malformed request behind one without its response": (
        "http",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nNONSENSE\r\n\r\n",
    ),
    "a malformed body behind a request without its response": (
        "http",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    ),
    "a handshake behind a request that is being handled": (
        "http",
        b"PUT / HTTP/1.1\r\nHOST:\r\nContent-Length:3\r\n\r\na00PATCH / HTTP/1.1\r\nHOST:\r\n\r\nGET / HTTP/1.1\r\n"
        b"Host:\r\n\r\nDELETE / HTTP/1.1\r\nhost:\r\n\r\nPATCH / HTTP/1.1\r\nContent-Length:3\r\nHOST:\r\n\r\na00"
        b"POST / HTTP/1.1\r\nHOST:\r\n\r\nGET /\nUpgrade:websocket\r\nConnection:Upgrade\r",
        b"\n\r\n",
    ),
    "a close within a message, while the session has paused": (
        "paused-frames",
        b"\x81\x81\0\0\0\0a\x81\x81\0\0\0\0b\x01\x81\0\0\0\0c\x88\x82\0\0\0\0\x03\xe8",
    ),
    "a tab behind a transfer encoding": (
        "http",
        b"DELETE / HTTP/1.1\r\nhost:\r\nContent-Length:3\r\n\r\na00"
        b"HEAD / HTTP/1.1\r\nTransfer-Encoding:chunked\t\r\nHOST:\r\n\r\n",
    ),
    "an empty transfer encoding among headers that have not ended": (
        "http",
        b"GET / HTTP/1.1\r\nHost:\r\n\r\nDELETE / HTTP/1.1\r\nTransfer-Encoding:\r\na:\r\n",
    ),
    "an empty query": ("http", b"POST /? HTTP/1.0\r\n\r\n"),
}
