"""The address of the socket of a client."""

from urllib.parse import quote, urlsplit, urlunsplit


def socket_url(url: str, client_id: str) -> str:
    """The WebSocket URL for the URL of a gateway, which may have a path prefix."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    path = f"{parts.path.rstrip('/')}/ws/{quote(client_id, safe='')}"
    return urlunsplit((scheme, parts.netloc, path, "refresh=1", ""))
