"""The text that `up` prints when all replicas listen."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from gateway.config.redis_url import split
from gateway.config.settings import Settings
from storage.database.database_url import parse


def welcome(settings: Settings, replica_ports: Sequence[int], redis_trouble: str = "", console_key: str = "") -> str:
    """The URL, the replicas, the servers and the next steps. `redis_trouble` is the reason why Redis is not usable.

    `console_key` is the service key with which the operator's page opens.
    """
    host = "127.0.0.1" if settings.app_host in {"0.0.0.0", "::"} else settings.app_host  # noqa: S104  compared, not bound
    host = f"[{host}]" if ":" in host else host  # RFC 3986 §3.2.2
    url = f"http://{host}:{settings.app_port}"
    replicas = "  ".join(f"http://{host}:{port}" for port in replica_ports)
    setting = "" if "REDIS_URL" in redis_trouble else " (REDIS_URL)"
    trouble = f"\n               NOT USABLE: {redis_trouble}{setting}" if redis_trouble else ""
    first = (
        "set REDIS_URL to a Redis that can be used, and start again"
        if redis_trouble
        else f"open {url} in two windows, and talk"
    )
    return f"""
  chat-gateway is up: {url}

    replicas   {replicas}
    database   {parse(settings.database_url)}
    redis      {", ".join(map(_whereabouts, split(settings.redis_url))) or "its own, gone with Ctrl+C"}{trouble}

  Try next
    {first}
    open {url}/console#key={console_key} for the replicas, users and chats
    open {url}/docs for the HTTP API
    curl {url}/readyz

  Ctrl+C ends everything.

"""


def _whereabouts(url: str) -> str:
    """The URL without its user and password."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return parts.path
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
