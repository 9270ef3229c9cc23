"""A server of images over TLS, for what pages show of messages that link to images."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.certificates import Authority

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="900"><rect width="9" height="9"/></svg>'
"""A picture is what its server calls it, whatever its name ends with."""


class Images:
    """Answers `…/missing…` with 404 and every other request with an image; `heads` has what was requested."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.port = 0

    @property
    def origin(self) -> str:
        """Of the URLs of the images."""
        return f"https://localhost:{self.port}"  # 127.0.0.1 has the page, and cookies know no ports

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:  # a connection that the browser opened in advance
            writer.close()
            return
        self.heads.append(head)
        is_missing = "/missing" in head.partition("\r\n")[0]
        status, body = ("404 Not Found", b"") if is_missing else ("200 OK", SVG)
        lengths = f"Content-Length: {len(body)}\r\nConnection: close"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Type: image/svg+xml\r\n{lengths}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def image_server(folder: Path, port: int = 0) -> AsyncIterator[Images]:
    """A server with a certificate that nobody trusts."""
    pair = Authority(folder, "authority").issue("server", "DNS:localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    images = Images()
    async with await asyncio.start_server(images.serve, "127.0.0.1", port, ssl=context) as server:
        images.port = server.sockets[0].getsockname()[1]
        yield images
