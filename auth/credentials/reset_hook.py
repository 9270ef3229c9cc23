"""The operator's hook that sends the mail of a password reset: one signed POST to PASSWORD_RESET_HOOK.

The URL is the operator's own, so it may be on a private address. Redirects are not followed: they would take the token
elsewhere. Nothing of the response but its status is read.
"""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
import orjson

from auth.credentials.password_reset import Deliver, ResetMail
from auth.errors import HookFailed

TIMEOUT_S: Final = 5.0
SIGNATURE: Final = "X-Chat-Signature"


@asynccontextmanager
async def open_reset_hook(url: str, secret: str) -> AsyncIterator[Deliver]:
    """A function that posts a mail to the URL, signed with the secret if there is one."""
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as http:

        async def deliver(mail: ResetMail) -> None:
            content = {
                "login": mail.login,
                "user_id": mail.user_id,
                "token": mail.token,
                "expires_at": mail.expires_at,
            }
            body = orjson.dumps(content)
            headers = {"Content-Type": "application/json"}
            if secret:
                headers[SIGNATURE] = signature(secret, int(time.time()), body)
            try:
                async with (
                    asyncio.timeout(TIMEOUT_S),
                    http.stream("POST", url, content=body, headers=headers) as answer,
                ):
                    status = answer.status_code
            except (httpx.HTTPError, TimeoutError) as error:  # their texts may contain the URL
                raise HookFailed(type(error).__name__) from None
            if not 200 <= status < 300:
                raise HookFailed(f"status {status}")

        yield deliver


def signature(secret: str, at: int, body: bytes) -> str:
    """`t=<Unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`: a receiver rejects old ones, so that none is replayed."""
    signed = hmac.digest(secret.encode(), b"%d." % at + body, "sha256")
    return f"t={at},v1={signed.hex()}"
