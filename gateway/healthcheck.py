"""Asks a part on this machine how it is: what a container's HEALTHCHECK runs, as its image has no curl."""

import json
from http.client import HTTPConnection, HTTPException
from typing import Final

from gateway.settings import Settings

TIMEOUT_S: Final = 3.0
_ANY_ADDRESS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound


def gateway_answers(settings: Settings) -> str | None:
    """None if the gateway is ready for connections, else why not; blocks for at most TIMEOUT_S a step."""
    return _ask(settings.app_host, settings.app_port, "/readyz")


def auth_answers(settings: Settings) -> str | None:
    """None if auth is alive, else why not; blocks for at most TIMEOUT_S a step."""
    return _ask(settings.app_host, settings.auth_port, "/livez")


def _ask(host: str, port: int, path: str) -> str | None:
    connection = HTTPConnection("127.0.0.1" if host in _ANY_ADDRESS else host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(1_000)
    except (OSError, HTTPException) as error:
        return f"Nothing answers on port {port}: {type(error).__name__}."
    finally:
        connection.close()
    if answer.status == 200:
        return None
    return f"{path} on port {port} says {answer.status} {_status(body)}".rstrip() + "."


def _status(body: bytes) -> str:
    try:
        return str(json.loads(body)["status"])
    except (ValueError, KeyError, TypeError):
        return ""
