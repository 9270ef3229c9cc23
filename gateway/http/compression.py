"""JSON responses that are compressed by gzip for clients that ask for it.

Only the API's responses use this class, and none of them has a token of more than MIN_BYTES beside content of others:
what an attacker can add to a compressed response and measure (BREACH) is next to messages, never next to a credential.
Responses of the auth service and streams are never compressed; files are by `httpapi.content.kept_files`.
"""

import asyncio
import zlib
from http import HTTPStatus
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from httpapi.content.accept_encoding import MIN_BYTES, accepts_gzip

_LEVEL: Final = 3
"""Half of the time of the default level, for a tenth more bytes."""
_IN_THREAD_BYTES: Final = 64 * 1024
"""Larger bodies are compressed in a thread: they would hold up the event loop for more than half a millisecond."""
_GZIP: Final = 31
"""zlib's code for the format of gzip with the largest window."""


class JsonResponse(Response):
    """A body of JSON, compressed if the request accepts that and it has MIN_BYTES."""

    media_type = "application/json"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        if len(self.body) >= MIN_BYTES and self.status_code == HTTPStatus.OK:
            headers = MutableHeaders(raw=self.raw_headers)
            headers.add_vary_header("Accept-Encoding")
            if accepts_gzip(Request(scope).headers.get("accept-encoding", "")):
                self.body = await _compressed(bytes(self.body))
                headers["Content-Encoding"] = "gzip"
                headers["Content-Length"] = str(len(self.body))
        await super().__call__(scope, receive, send)


async def _compressed(body: bytes) -> bytes:
    return _gzip(body) if len(body) < _IN_THREAD_BYTES else await asyncio.to_thread(_gzip, body)


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(_LEVEL, wbits=_GZIP)
    return compressor.compress(body) + compressor.flush()
