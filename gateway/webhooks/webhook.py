"""Sends events to a webhook: signed POSTs, with the address checked. Implements `interfaces.outbox.EventSender`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gateway.config.webhooks import Webhook
from gateway.errors import SendFailed
from gateway.interfaces.outbox import OutsideEvent
from gateway.webhooks.addresses import Target
from httpapi.errors import PostFailed
from httpapi.outgoing.signed_post import SignedPoster

TIMEOUT_S: Final = 5.0


class WebhookSender:
    """One connection pool per endpoint, so that no endpoint waits for connections of another."""

    def __init__(
        self, webhook: Webhook, *, allows_private: bool, headers: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        """`headers` are further ones of each request."""
        self._headers = headers
        self._target = Target(webhook.url, allows_private=allows_private)
        self._poster = SignedPoster(webhook.secret, TIMEOUT_S, uses_proxy=False)  # a proxy would resolve the name again

    async def send(self, events: Sequence[OutsideEvent]) -> None:
        """Implement `EventSender.send`: `{"events":[…]}`."""
        body = b'{"events":[' + b",".join(event.json for event in events) + b"]}"
        url = await self._target.url()
        try:
            await self._poster.post(url, body, self._headers(), host=self._target.host)
        except PostFailed as error:
            if not str(error).startswith("status"):
                self._target.forget()
            raise SendFailed(str(error)) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()
