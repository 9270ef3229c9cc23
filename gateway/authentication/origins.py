"""The check of `Origin`: protects against cross-site requests that carry a user's cookie.

Scheme, host and port are compared exactly, without suffixes or patterns. A request without `Origin` does not come from
a web page: browsers always send it where it matters here.
"""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from gateway.authentication.credentials import Credentials

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_PAGE_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_ORIGIN: Final = re.compile(r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.IGNORECASE | re.ASCII)
"""The serialization that browsers send (RFC 6454 §7): no user, no path, international names in punycode."""

_Origin = tuple[str, str, int]


class Origins:
    """ALLOWED_ORIGINS; empty means the request's own host. In development, every port of localhost is allowed too."""

    def __init__(self, allowed: Sequence[str], *, public_url: str, is_development: bool) -> None:
        public = urlsplit(public_url)
        self._any = "*" in allowed
        self._allowed = {_parse(origin) for origin in [*allowed, f"{public.scheme}://{public.netloc}"]}
        self._own_host = not allowed
        self._is_development = is_development

    def allows(self, origin: str, connection: HTTPConnection) -> bool:
        """Whether pages of this origin may send requests."""
        page = _parse(origin)
        if page is None:
            return False
        if self._any or page in self._allowed:
            return True
        if self._is_development and page[1] in _LOCAL_HOSTS:
            return True
        return self._own_host and page == _own(connection)

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


def _own(connection: HTTPConnection) -> _Origin | None:
    """The origin of the URL that the client requested; the scope's scheme already respects trusted proxies."""
    return _parse(f"{_PAGE_SCHEMES[connection.scope['scheme']]}://{connection.headers.get('host', '')}")


def _parse(origin: str) -> _Origin | None:
    """Scheme, host and port; None for any other value, such as `null`."""
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return None
    scheme, host, port = match.groups()
    return scheme.lower(), host.lower(), int(port) if port else _DEFAULT_PORTS[scheme.lower()]
