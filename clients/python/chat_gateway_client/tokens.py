"""Where the token of a client comes from."""

import logging
from collections.abc import Awaitable, Callable

from chat_gateway_client.errors import NoToken

logger = logging.getLogger("chat_gateway_client")

Token = str | Callable[[str], Awaitable[str]]
"""A token, or a function that returns one. Its argument says what for: "connect", "expiring" or "rejected"."""


class TokenSource:
    """One token, or a function that is called for each."""

    def __init__(self, token: Token) -> None:
        self._token = token

    @property
    def are_renewed(self) -> bool:
        """Whether there is another token when one has expired."""
        return callable(self._token)

    async def get(self, why: str) -> str:
        """The token to use now.

        Raises: NoToken.
        """
        if not callable(self._token):
            return self._token
        try:
            return await self._token(why)
        except Exception as error:
            logger.warning("no token: %r", error)
            raise NoToken from error
