"""POSTs over HTTP/1.1 connections that are kept open: at a hundred a second they cost a tenth of what they do by httpx.

Of a response only its status counts. A connection whose response has not ended with it is closed.
"""

import asyncio
import os
import ssl
import time
from typing import Final

import certifi
import httptools

from httpapi.errors import PostFailed

IDLE_S: Final = 5.0
"""After which a connection is not used again: the server may be about to close it."""


class Connections:
    """The connections to one host. Their number is that of the posts at one time."""

    def __init__(self, host: str, port: int, *, is_tls: bool) -> None:
        """`host` is the name in the certificate, if `is_tls`."""
        self._host = host
        self._port = port
        self._tls = _tls_context() if is_tls else None
        self._idle: list[_PostConnection] = []

    async def post(self, address: str, head: bytes, body: bytes) -> int:
        """The status of the response from this IP address; `head` is the request up to its body.

        The caller limits the time. Raises: PostFailed.
        """
        connection = self._take_idle(address) or await self._open(address)
        try:
            return await connection.post(head, body)
        finally:
            if connection.is_idle:
                self._idle.append(connection)
            else:
                connection.close()

    def _take_idle(self, address: str) -> "_PostConnection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.is_idle and connection.address == address and connection.since > time.monotonic() - IDLE_S:
                return connection
            connection.close()
        return None

    async def _open(self, address: str) -> "_PostConnection":
        server_hostname = self._host if self._tls is not None else None
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _PostConnection(address), address, self._port, ssl=self._tls, server_hostname=server_hostname
            )
        except OSError:  # TLS errors too
            raise PostFailed("ConnectError") from None
        return connection

    def close(self) -> None:
        """Close those that are idle."""
        while self._idle:
            self._idle.pop().close()


def _tls_context() -> ssl.SSLContext:
    """It trusts the public authorities, or those in the file SSL_CERT_FILE of the environment."""
    return ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or certifi.where())


class _PostConnection(asyncio.Protocol):
    """One connection: a request at a time."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.is_idle = False
        self.since = 0.0
        """When it became idle."""
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser
        self._status: asyncio.Future[int] | None = None

    async def post(self, head: bytes, body: bytes) -> int:
        """The status. Raises: PostFailed."""
        if self._transport is None:
            raise PostFailed("ConnectError")
        self.is_idle = False
        self._parser = httptools.HttpResponseParser(self)
        self._status = asyncio.get_running_loop().create_future()
        self._transport.writelines([head, body])
        return await self._status

    def close(self) -> None:
        """Close it at once, whatever is unsent."""
        self.is_idle = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # of a connection it is a Transport

    def data_received(self, data: bytes) -> None:
        if self._status is None or self.is_idle:  # no request is waiting for it
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail("ProtocolError")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.is_idle = False
        self._fail("ReadError")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200 and self._status is not None and not self._status.done():
            self._status.set_result(status)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() >= 200 and self._transport is not None:
            self.is_idle = self._parser.should_keep_alive() and not self._transport.is_closing()
            self.since = time.monotonic()

    def _fail(self, reason: str) -> None:
        if self._status is not None and not self._status.done():
            self._status.set_exception(PostFailed(reason))
