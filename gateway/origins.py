"""Which web pages may call: the guard against cross-site requests that carry a user's cookie.

Compared exactly, scheme, host and port: no suffixes, no patterns. Without an `Origin` no page is calling, as browsers
always send one where it matters here.
"""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from gateway.credentials import Credentials
from gateway.setting_values import Network

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SECURE = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Origins:
    """ALLOWED_ORIGINS; empty means the request's own host. In development any port of localhost may call too."""

    def __init__(
        self, allowed: Sequence[str], *, public_url: str, is_development: bool, trusted_proxies: Sequence[Network]
    ) -> None:
        self._any = "*" in allowed
        self._allowed = {_normal(origin) for origin in allowed if origin != "*"}
        if public_url:
            self._allowed.add(_normal(public_url))
        self._own_host = not allowed
        self._is_development = is_development
        self._trusted = tuple(trusted_proxies)

    def allows(self, origin: str, connection: HTTPConnection) -> bool:
        """Whether a page of this origin may call."""
        normal = _normal(origin)
        if normal is None:
            return False
        if self._any or normal in self._allowed:
            return True
        if self._is_development and normal[1] in _LOCAL_HOSTS:
            return True
        return self._own_host and normal == self._own(connection)

    def refuses(self, connection: HTTPConnection, credentials: Credentials | None) -> bool:
        """Whether this request must be answered 403, whatever its token says."""
        origin = connection.headers.get("origin")
        if origin is not None:
            return not self.allows(origin, connection)
        if credentials is None or credentials.is_explicit:
            return False
        if connection.scope["type"] == "websocket" or connection.scope["method"] not in _SAFE:
            return True
        return connection.headers.get("sec-fetch-site", "none") == "cross-site"

    def _own(self, connection: HTTPConnection) -> tuple[str, str, int] | None:
        """The origin that the client itself is talking to."""
        scheme = _SECURE[connection.scope["scheme"]]
        if self._is_from_proxy(connection):
            scheme = connection.headers.get("x-forwarded-proto", scheme).split(",")[-1].strip().lower()
        return _normal(f"{scheme}://{connection.headers.get('host', '')}")

    def _is_from_proxy(self, connection: HTTPConnection) -> bool:
        if connection.client is None:
            return False
        try:
            peer = ip_network(ip_address(connection.client.host))
        except ValueError:
            return False
        return any(network.version == peer.version and peer.subnet_of(network) for network in self._trusted)  # type: ignore[arg-type]


def _normal(origin: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None for what is no origin of a page, such as `null`."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.username:
        return None
    if not parts.hostname.isascii():
        return None
    return parts.scheme, parts.hostname, port or _DEFAULT_PORTS[parts.scheme]
