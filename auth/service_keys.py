"""Keys of other services, which come as `X-Service-Key`."""

import hmac
from collections.abc import Sequence

from starlette.requests import Request


class ServiceKeys:
    """SERVICE_KEYS; without any, nobody has one."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in keys]

    def has(self, request: Request) -> bool:
        """Whether the request bears a key of ours; the time that it takes says nothing about how near a guess was."""
        offered = request.headers.get("x-service-key", "").encode("latin-1")
        return any(hmac.compare_digest(offered, key) for key in self._keys)
