"""Sends events to a webhook: signed POSTs, with the address checked. Implements `interfaces.outbox.EventSender`."""

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from gateway.config.webhooks import Webhook
from gateway.errors import SendFailed
from gateway.interfaces.outbox import OutsideEvent
from gateway.webhooks.addresses import Target
from httpapi.errors import PostFailed
from httpapi.outgoing.connections import Connections
from httpapi.outgoing.signed_post import SIGNATURE, signature

TIMEOUT_S: Final = 5.0


class WebhookSender:
    """The connections are the endpoint's own, so that it waits for no other. A proxy would resolve the name again."""

    def __init__(
        self, webhook: Webhook, *, allows_private: bool, headers: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        """`headers` are further ones of each request."""
        self._headers = headers
        self._secret = webhook.secret
        parts = urlsplit(webhook.url)
        is_tls = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if is_tls else 80)
        self._target = Target(host, port, allows_private=allows_private)
        self._connections = Connections(host, port, is_tls=is_tls)
        self._head = _head(parts)

    async def send(self, events: Sequence[OutsideEvent]) -> None:
        """Implement `EventSender.send`: `{"events":[…]}`."""
        body = b'{"events":[' + b",".join([event.json for event in events]) + b"]}"
        lines = {SIGNATURE: signature(self._secret, int(time.time()), body), "Content-Length": len(body)}
        further = "".join(f"{name}: {value}\r\n" for name, value in {**lines, **self._headers()}.items())
        head = f"{self._head}{further}\r\n".encode()
        address = await self._target.address()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status = await self._connections.post(address, head, body)
        except (PostFailed, TimeoutError) as error:
            self._target.forget()
            raise SendFailed(str(error) or "timeout") from None
        if not 200 <= status < 300:
            raise SendFailed(f"status {status}")

    async def close(self) -> None:
        """Close the connections."""
        self._connections.close()


def _head(parts: SplitResult) -> str:
    """The lines of each request; the setting has checked that the URL has no spaces and line ends."""
    path = parts.path or "/"
    lines = [
        f"POST {path}?{parts.query} HTTP/1.1" if parts.query else f"POST {path} HTTP/1.1",
        f"Host: {parts.netloc.rpartition('@')[2]}",
        "User-Agent: chat-gateway",
        "Content-Type: application/json",
    ]
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        lines.append(f"Authorization: Basic {b64encode(pair.encode()).decode()}")
    return "\r\n".join([*lines, ""])
