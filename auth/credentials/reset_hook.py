"""The operator's hook that sends the mail of a password reset: one signed POST to PASSWORD_RESET_HOOK.

The URL is the operator's own, so it may be on a private address. Redirects are not followed: they would take the token
elsewhere.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import orjson

from auth.credentials.password_reset import Deliver, ResetMail
from auth.errors import HookFailed
from httpapi.errors import PostFailed
from httpapi.outgoing.signed_post import SignedPoster

TIMEOUT_S: Final = 5.0


@asynccontextmanager
async def open_reset_hook(url: str, secret: str) -> AsyncIterator[Deliver]:
    """A function that posts a mail to the URL, signed with the secret if there is one."""
    poster = SignedPoster(url, secret, TIMEOUT_S)

    async def deliver(mail: ResetMail) -> None:
        content = {
            "login": mail.login,
            "user_id": mail.user_id,
            "token": mail.token,
            "expires_at": mail.expires_at,
        }
        try:
            await poster.post(orjson.dumps(content))
        except PostFailed as error:
            raise HookFailed(str(error)) from None

    try:
        yield deliver
    finally:
        poster.close()
