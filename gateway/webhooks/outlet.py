"""All endpoints of a node: their deliveries, and what waits for them."""

import asyncio
import logging
import random
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from gateway.config.webhooks import Webhook
from gateway.delivery.open_chats import OpenChats
from gateway.interfaces.outbox import EventSender, LogRanges, OutboxQueue
from gateway.metrics.webhooks import EndpointMetrics, WebhookMetrics
from gateway.tasks import Tasks
from gateway.webhooks.attendance import AttendanceReader
from gateway.webhooks.delivery import EndpointDelivery
from gateway.webhooks.loads import Loader
from gateway.webhooks.webhook import WebhookSender
from storage.errors import StorageUnavailable

logger = logging.getLogger("gateway.webhooks")

EXCHANGE: Final = "exchange"
"""The name of the endpoint that is the exchange of RabbitMQ; no webhook has it."""
MEASURE_S: Final = 15.0
"""Between two measurements of what waits."""


@dataclass(frozen=True, slots=True)
class _Endpoint:
    sender: EventSender
    metrics: EndpointMetrics
    give_up_s: float | None


class Outlet:
    """The endpoints of this node. Without any it delivers nothing."""

    def __init__(
        self,
        outbox: OutboxQueue,
        log: LogRanges,
        metrics: WebhookMetrics,
        attendance: AttendanceReader | None = None,
        around: Callable[[EventSender, str], EventSender] = lambda sender, _: sender,
    ) -> None:
        """Without `attendance` it is not known who is absent. `around` returns what to use in place of a sender."""
        self._around = around
        self._attendance = attendance
        self._outbox = outbox
        self._log = log
        self._metrics = metrics
        self._endpoints: dict[str, _Endpoint] = {}
        self._deliveries: list[EndpointDelivery] = []
        self.types: dict[str, frozenset[str]] = {}
        """The types of events that each endpoint gets, by its name."""

    def add(self, name: str, types: frozenset[str], sender: EventSender, *, give_up_s: float | None = None) -> None:
        """Add an endpoint before `start`."""
        self._endpoints[name] = _Endpoint(self._around(sender, name), self._metrics.of(name), give_up_s)
        self.types[name] = types

    async def add_webhooks(
        self,
        stack: AsyncExitStack,
        webhooks: Sequence[Webhook],
        *,
        allows_private: bool,
        headers: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """Add the endpoints of the settings; their connections close with the stack. `headers`: of each request."""
        for webhook in webhooks:
            sender = WebhookSender(webhook, allows_private=allows_private, headers=headers)
            stack.push_async_callback(sender.close)
            give_up_s = None if webhook.give_up_h is None else webhook.give_up_h * 3600
            self.add(webhook.name, frozenset(webhook.events), sender, give_up_s=give_up_s)

    def start(self, tasks: Tasks, open_chats: OpenChats | None = None) -> None:
        """Deliver until the tasks are closed. Without `open_chats` everything is read from the store and from Redis."""
        for name, endpoint in self._endpoints.items():
            loader = Loader(name, self.types[name], self._outbox, self._log, self._attendance, open_chats)
            delivery = EndpointDelivery(
                name, endpoint.sender, self._outbox, loader, endpoint.metrics, give_up_s=endpoint.give_up_s
            )
            self._deliveries.append(delivery)
            tasks.spawn(delivery.run_fresh(), "webhooks")
            tasks.spawn(delivery.run_late(), "webhooks again")
        tasks.spawn(self._measure(), "webhook backlog")  # without endpoints too: of those that were removed

    def stirred_by(self, on_batch: Callable[[int, float], None]) -> Callable[[int, float], None]:
        """`on_batch`, and deliver soon: this node has committed something."""

        def on_commit(size: int, seconds: float) -> None:
            on_batch(size, seconds)
            self.stir()

        return on_commit

    def stir(self) -> None:
        """Deliver soon: this node has committed something."""
        for delivery in self._deliveries:
            delivery.stir()

    async def _measure(self) -> None:
        removed: list[str] = []
        while True:
            try:
                for name, endpoint in self._endpoints.items():
                    endpoint.metrics.waits(await self._outbox.backlog(name))
                before, removed = removed, await removed_endpoints(self._outbox, self._endpoints)
                self._metrics.removed.set(len(removed))
                if removed and removed != before:
                    logger.warning("webhooks_removed", extra={"fields": {"endpoints": removed}})
                await self._outbox.purge()
            except StorageUnavailable:
                logger.warning("outbox_unmeasured")
            await asyncio.sleep(MEASURE_S * random.uniform(0.5, 1.5))  # noqa: S311 - spreads the nodes


async def removed_endpoints(outbox: OutboxQueue, set_up: Container[str]) -> list[str]:
    """The endpoints that the outbox has something of, and that are not set up.

    Raises: StorageUnavailable.
    """
    return [name for name in await outbox.endpoints() if name not in set_up]
