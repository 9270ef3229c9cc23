"""Health checks of a service on this machine, for a container's HEALTHCHECK (the image has no curl)."""

import json
import time
from http.client import HTTPConnection, HTTPException
from typing import Final

from gateway.config.settings import Settings

TIMEOUT_S: Final = 3.0
REDIS_S: Final = 2.0
PAUSE_S: Final = 0.1
_ANY_ADDRESS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound


def gateway_answers(settings: Settings) -> str | None:
    """None if the gateway is ready for connections, else the reason; blocks for at most TIMEOUT_S per socket call."""
    return _ask(settings.app_host, settings.app_port, "/readyz")


def auth_answers(settings: Settings) -> str | None:
    """None if auth is ready for requests, else the reason; blocks for at most TIMEOUT_S per socket call."""
    return _ask(settings.app_host, settings.auth_port, "/readyz")


def redis_trouble(settings: Settings, port: int) -> str:
    """Why the gateway at this port has no Redis; empty if it has. Blocks for about REDIS_S at most."""
    ends_at = time.monotonic() + REDIS_S
    while (trouble := _redis_trouble(settings.app_host, port)) and time.monotonic() < ends_at:
        time.sleep(PAUSE_S)  # the gateway may still be connecting
    return trouble


def _redis_trouble(host: str, port: int) -> str:
    connection = HTTPConnection("127.0.0.1" if host in _ANY_ADDRESS else host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        report = json.loads(connection.getresponse().read(10_000))
        if report["redis"] == "up":
            return ""
        return "; ".join(report.get("reasons", ())) or "it does not answer"
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return ""  # a gateway that does not respond says nothing about Redis
    finally:
        connection.close()


def _ask(host: str, port: int, path: str) -> str | None:
    connection = HTTPConnection("127.0.0.1" if host in _ANY_ADDRESS else host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(1_000)
    except (OSError, HTTPException) as error:
        return f"Nothing answers on port {port}: {type(error).__name__}."
    finally:
        connection.close()
    if response.status == 200:
        return None
    return f"{path} on port {port} says {response.status} {_status(body)}".rstrip() + "."


def _status(body: bytes) -> str:
    try:
        return str(json.loads(body)["status"])
    except (ValueError, KeyError, TypeError):
        return ""
