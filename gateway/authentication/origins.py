"""The check of `Origin` for HTTP requests and handshakes; `httpapi.site` compares.

A request without `Origin` does not come from a web page: browsers always send it where it matters here.
"""

from typing import Final

from starlette.requests import HTTPConnection

from gateway.authentication.credentials import Credentials
from httpapi.site import AllowedOrigins

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Origins(AllowedOrigins):
    """Which requests are rejected because of their `Origin`, or because they have none."""

    def refuses(self, connection: HTTPConnection, credentials: Credentials | None) -> bool:
        """Whether this request must be rejected with 403, even if its token is valid."""
        origin = connection.headers.get("origin")
        if origin is not None:
            return not self.allows(origin, connection)
        if credentials is None or credentials.is_explicit:
            return False
        if connection.scope["type"] == "websocket" or connection.scope["method"] not in _SAFE:
            return True
        return connection.headers.get("sec-fetch-site", "none") == "cross-site"
