"""The JWKS endpoint of an external issuer, with configurable failures."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class JwksServer:
    """What it answers is the test's to say; `requests` has what it was asked."""

    def __init__(self) -> None:
        self.document: object = {"keys": []}
        self.raw: bytes | None = None
        self.hangs = False
        self.requests: list[str] = []
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Where the document is."""
        return f"http://127.0.0.1:{self.port}/keys.json"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        self._writers.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head.decode().partition("\r\n")[0])
            if self.hangs:
                await reader.read()
            body = json.dumps(self.document).encode()
            writer.write(self.raw or b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
            self._writers.discard(writer)

    def hang_up(self) -> None:
        """Leave everybody without an answer."""
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def run_jwks_server(*keys: Any) -> AsyncIterator[JwksServer]:
    """The endpoint with these public keys, on a port of its own."""
    jwks = JwksServer()
    jwks.document = {"keys": [key.as_dict(private=False) for key in keys]}
    server = await asyncio.start_server(jwks.serve, "127.0.0.1", 0)
    jwks.port = server.sockets[0].getsockname()[1]
    try:
        yield jwks
    finally:
        server.close()
        jwks.hang_up()
        await server.wait_closed()
