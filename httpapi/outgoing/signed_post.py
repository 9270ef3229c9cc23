"""One signed POST to a URL of the operator: redirects are not followed, and nothing of the response but its status is
read.

The body and the secret never reach an error's text; neither does the URL.
"""

import asyncio
import hmac
import time
from typing import Final

import httpx

from httpapi.errors import PostFailed

SIGNATURE: Final = "X-Chat-Signature"


class SignedPoster:
    """Posts JSON with one connection pool. `secret` may be empty: then nothing is signed."""

    def __init__(self, secret: str, timeout_s: float) -> None:
        self._secret = secret
        self._timeout_s = timeout_s
        self._http = httpx.AsyncClient(timeout=timeout_s, follow_redirects=False)

    async def post(self, url: str, body: bytes) -> None:
        """Post the body.

        Raises: PostFailed, unless the response is a 2xx within the timeout.
        """
        sent = {"Content-Type": "application/json"}
        if self._secret:
            sent[SIGNATURE] = signature(self._secret, int(time.time()), body)
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._http.stream("POST", url, content=body, headers=sent) as answer,
            ):
                status = answer.status_code
        except (httpx.HTTPError, TimeoutError) as error:  # their texts may contain the URL
            raise PostFailed(type(error).__name__) from None
        if not 200 <= status < 300:
            raise PostFailed(f"status {status}")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def signature(secret: str, at: int, body: bytes) -> str:
    """`t=<Unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`: a receiver rejects old ones, so that none is replayed."""
    signed = hmac.digest(secret.encode(), b"%d." % at + body, "sha256")
    return f"t={at},v1={signed.hex()}"
