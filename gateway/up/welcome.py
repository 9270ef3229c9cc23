"""What `up` prints when everything listens."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from gateway.redis_urls import split
from gateway.settings import Settings


def welcome(settings: Settings, replica_ports: Sequence[int]) -> str:
    """A few lines: the URL, what stands behind it, what to try next."""
    host = "127.0.0.1" if settings.app_host in {"0.0.0.0", "::"} else settings.app_host  # noqa: S104  compared, not bound
    url = f"http://{host}:{settings.app_port}"
    replicas = "  ".join(f"http://{host}:{port}" for port in replica_ports)
    return f"""
  chat-gateway is up: {url}

    replicas   {replicas}
    database   {_whereabouts(settings.database_url)}
    redis      {", ".join(map(_whereabouts, split(settings.redis_url))) or "its own, gone with Ctrl+C"}

  Try next
    open {url} in two windows, and talk
    open {url}/docs for the HTTP API
    curl {url}/readyz

  Ctrl+C ends everything.

"""


def _whereabouts(url: str) -> str:
    """Where a URL leads, without the user and password in it."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return parts.path
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
