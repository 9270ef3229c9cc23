"""Checks of a running system through its public URL: proxies pass upgrades and frames, and origins are checked."""

import asyncio
import json
import time
from typing import Final
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

from gateway.commands.doctor.finding import Finding, Findings, ok, wrong

SUBJECT: Final = "proxy"
WITHIN_S: Final = 10.0
FOREIGN: Final = "https://doctor.invalid"
"""An origin that no system has (RFC 2606)."""
_BODY: Final = 2_000
_UPGRADE: Final = (
    "Let the proxy pass WebSockets: HTTP/1.1 to the gateway, with the headers Upgrade and Connection (docs/deploy.md)."
)


async def check_front(url: str) -> Findings:
    """The findings of the system at this URL, such as https://chat.example.com."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname:
        yield wrong(SUBJECT, f"{url} is not a URL of a website.", "Give one like https://chat.example.com.")
        return
    address = f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/ws/doctor"
    origin = f"{'https' if scheme == 'wss' else 'http'}://{parts.netloc}"
    yield (passes := await _upgrade(address, origin))
    if passes.severity == "ok":
        yield await _foreign_origin(address)


async def _upgrade(address: str, origin: str) -> Finding:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(WITHIN_S):
            async with connect(address, origin=origin, max_size=100_000) as socket:  # type: ignore[arg-type]
                await socket.send('{"type":"ping"}')
                while json.loads(await socket.recv()).get("type") != "pong":
                    pass
    except InvalidStatus as error:
        return _rejected(address, origin, error)
    except InvalidHandshake as error:
        return wrong(SUBJECT, f"{address} answers, but not with a WebSocket: {error}.", _UPGRADE)
    except TimeoutError:
        text = f"{address} does not answer a command within {WITHIN_S:.0f} s."
        return wrong(SUBJECT, text, "Switch the buffering of the proxy off, and see that the gateway is ready.")
    except (WebSocketException, OSError, ValueError) as error:
        text = f"{address} cannot be used: {error or type(error).__name__}."
        return wrong(SUBJECT, text, "Check the URL, its DNS, its certificate, and that proxy and gateway run.")
    took_ms = (time.perf_counter() - started) * 1000
    return ok(SUBJECT, f"{address} passes the upgrade, and a command and its reply, in {took_ms:.0f} ms.")


def _rejected(address: str, origin: str, error: InvalidStatus) -> Finding:
    status = error.response.status_code
    code = _code(error.response.body)
    if code == "forbidden_origin":
        advice = f"Add {origin} to ALLOWED_ORIGINS or set PUBLIC_URL, and let the proxy pass the Host header."
        return wrong("origins", f"The gateway rejects pages of {origin}.", advice)
    if code == "upgrade_required":
        return wrong(SUBJECT, f"The proxy drops the upgrade: a plain request reaches the gateway ({status}).", _UPGRADE)
    if status in (502, 503, 504) and not code:
        return wrong(SUBJECT, f"The proxy reaches no gateway: {status}.", "See that a gateway runs and is ready.")
    if code:
        return wrong(SUBJECT, f"The gateway rejects the handshake: {status} {code}.", "docs/protocol.md has the code.")
    return wrong(SUBJECT, f"{address} answers {status} to a handshake.", _UPGRADE)


def _code(body: bytes | bytearray | None) -> str:
    """The error code of a problem document of ours; empty for a page of a proxy."""
    try:
        return str(json.loads((body or b"")[:_BODY])["code"])
    except (ValueError, KeyError, TypeError):
        return ""


async def _foreign_origin(address: str) -> Finding:
    try:
        async with asyncio.timeout(WITHIN_S), connect(address, origin=FOREIGN):  # type: ignore[arg-type]
            advice = "Name your origins in ALLOWED_ORIGINS, and let the proxy pass Origin and Host unchanged."
            return wrong("origins", f"{address} accepts pages of any site, such as {FOREIGN}.", advice)
    except InvalidStatus as error:
        return ok("origins", f"Pages of another site are rejected ({error.response.status_code}).")
    except (WebSocketException, OSError) as error:
        return wrong("origins", f"{address} did not answer a page of another site: {error}.", "Run doctor again.")
