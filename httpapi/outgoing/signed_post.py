"""Signed POSTs to a URL of the operator. Redirects are not followed; of the response only its status is read.

The body and the secret never reach an error's text; neither does the URL. The environment's proxies are not used.
"""

import asyncio
import hmac
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from httpapi.errors import PostFailed
from httpapi.outgoing.connections import Connections

SIGNATURE: Final = "X-Chat-Signature"
_PORTS: Final = {"http": 80, "https": 443}


class SignedPoster:
    """Posts JSON to one URL. `secret` may be empty: then nothing is signed."""

    def __init__(self, url: str, secret: str, timeout_s: float) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        self._secret = secret
        self._timeout_s = timeout_s
        self._connections = Connections(self.host, self.port, is_tls=parts.scheme == "https")
        self._head = _head(parts)

    async def post(self, body: bytes, *, address: str = "", headers: Mapping[str, str] | None = None) -> None:
        """Post the body to this IP address, or to one of the host's if it is empty; `headers` are further ones.

        Raises: PostFailed, unless the response is a 2xx within the timeout.
        """
        lines = [f"{name}: {value}\r\n" for name, value in (headers or {}).items()]
        if self._secret:
            lines.append(f"{SIGNATURE}: {signature(self._secret, int(time.time()), body)}\r\n")
        head = f"{self._head}{''.join(lines)}Content-Length: {len(body)}\r\n\r\n".encode()
        try:
            async with asyncio.timeout(self._timeout_s):
                status = await self._connections.post(address or self.host, head, body)
        except TimeoutError:
            raise PostFailed("timeout") from None
        if not 200 <= status < 300:
            raise PostFailed(f"status {status}")

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()


def _head(parts: SplitResult) -> str:
    """The lines of each request; the setting has checked that the URL has no spaces and line ends."""
    path = parts.path or "/"
    lines = [
        f"POST {path}?{parts.query} HTTP/1.1" if parts.query else f"POST {path} HTTP/1.1",
        f"Host: {parts.netloc.rpartition('@')[2]}",
        "User-Agent: chat-gateway",
        "Content-Type: application/json",
    ]
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        lines.append(f"Authorization: Basic {b64encode(pair.encode()).decode()}")
    return "\r\n".join([*lines, ""])


def signature(secret: str, at: int, body: bytes) -> str:
    """`t=<Unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`: a receiver rejects old ones, so that none is replayed."""
    signed = hmac.digest(secret.encode(), b"%d." % at + body, "sha256")
    return f"t={at},v1={signed.hex()}"
