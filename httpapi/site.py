"""Where a service is: the public URL with which the URLs in its responses begin, and the pages that may use it."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection, Request

_HOST: Final = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE | re.ASCII)
"""A Host header that may become a part of a URL."""
MAX_HOST: Final = 255
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_PAGE_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_ORIGIN: Final = re.compile(r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.IGNORECASE | re.ASCII)
"""The serialization that browsers send (RFC 6454 §7): no user, no path, international names in punycode."""

_Origin = tuple[str, str, int]


class Site:
    """PUBLIC_URL; without it, the origin that a request names, if it is one of ALLOWED_ORIGINS.

    `any_host` (in development) accepts every Host header instead. A Host header that an attacker has chosen must not
    get into a URL with a ticket. Origins have no path, so a gateway behind a path prefix needs PUBLIC_URL.
    """

    def __init__(self, public_url: str = "", allowed_origins: Sequence[str] = (), *, any_host: bool = False) -> None:
        self.public_url = public_url
        self._allowed = {_key(*origin.split("://", 1)): origin for origin in allowed_origins if origin != "*"}
        self._any_host = any_host

    def url(self, request: Request) -> str | None:
        """The URL of the root, without a slash at its end; None if the Host header is not one of ours."""
        if self.public_url:
            return self.public_url
        scheme, host = request.url.scheme, request.headers.get("host", "")
        if len(host) > MAX_HOST or not _HOST.fullmatch(host):
            return None
        if self._any_host:
            return f"{scheme}://{host}"
        return self._allowed.get(_key(scheme, host)) or self._allowed.get(_key("https", host))

    @property
    def name(self) -> str:
        """The host of the public URL; without one, the name of this software."""
        return urlsplit(self.public_url).hostname or "chat-gateway"

    @property
    def cookie_path(self) -> str:
        """The `Path` of our cookies: another application may share our host."""
        return urlsplit(self.public_url).path or "/"

    def is_https(self, request: Request) -> bool:
        """Whether clients connect by TLS, so that a cookie can be `Secure`."""
        return request.url.scheme == "https" or (self.url(request) or "").startswith("https:")


class AllowedOrigins:
    """ALLOWED_ORIGINS; empty means the request's own host. In development, every port of localhost is allowed too.

    Scheme, host and port are compared exactly, without suffixes or patterns. This protects against cross-site requests
    that carry a user's cookie.
    """

    def __init__(self, allowed: Sequence[str] = (), *, public_url: str = "", is_development: bool = False) -> None:
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


def _key(scheme: str, host: str) -> tuple[str, str]:
    """Equal for equal origins."""
    host = host.lower()
    name, colon, port = host.rpartition(":")
    if colon and port.isdigit() and port == _DEFAULT_PORTS[scheme]:
        host = name
    return scheme, host


def _own(connection: HTTPConnection) -> _Origin | None:
    """The origin of the URL that the client requested; the scope's scheme already respects trusted proxies."""
    return _parse(f"{_PAGE_SCHEMES[connection.scope['scheme']]}://{connection.headers.get('host', '')}")


def _parse(origin: str) -> _Origin | None:
    """Scheme, host and port; None for any other value, such as `null`."""
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return None
    scheme, host, port = match.groups()
    return scheme.lower(), host.lower(), int(port) if port else int(_DEFAULT_PORTS[scheme.lower()])
