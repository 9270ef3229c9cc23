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
}
