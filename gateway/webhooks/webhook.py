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
    """The connections are the endpoint's own, so that it waits for no other. A proxy would resolve the name again."""

    def __init__(
        self, webhook: Webhook, *, allows_private: bool, headers: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        """`headers` are further ones of each request."""
        self._headers = headers
        self._poster = SignedPoster(webhook.url, webhook.secret, TIMEOUT_S)
        self._target = Target(self._poster.host, self._poster.port, allows_private=allows_private)

    async def send(self, events: Sequence[OutsideEvent]) -> None:
        """Implement `EventSender.send`: `{"events":[…]}`."""
        body = b'{"events":[' + b",".join([event.json for event in events]) + b"]}"
        address = await self._target.address()
        try:
            await self._poster.post(body, address=address, headers=self._headers())
        except PostFailed as error:
            self._target.forget()
            raise SendFailed(str(error)) from None

    async def close(self) -> None:
        """Close the connections."""
        self._poster.close()
