"""Nodes that deliver to endpoints which fail at random, until they crash."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from gateway.errors import SendFailed
from gateway.interfaces.outbox import OutsideEvent
from gateway.webhooks.delivery import EndpointDelivery
from gateway.webhooks.loads import Loader
from storage.database.database import Database
from storage.log.event_ranges import EventRanges
from storage.outbox.queue import Outbox
from storage.outbox_records import Head, Wanted
from tests.gateway.webhooks.interleaver import Interleaver
from tests.gateway.webhooks.outbox_promise import Drop


class _Counts:
    """Counts what was lost."""

    def __init__(self) -> None:
        self.events_lost = 0

    def delivered(self, count: int) -> None: ...

    def failed(self, reason: str) -> None: ...

    def given_up(self, count: int) -> None: ...

    def lost(self, count: int) -> None:
        self.events_lost += count


class _Sender:
    """Takes events, or fails, before or after it has taken them."""

    def __init__(self, interleaver: Interleaver, seen: list[dict[str, Any]]) -> None:
        self._interleaver = interleaver
        self._seen = seen
        self.fails = 0.25

    async def send(self, events: Sequence[OutsideEvent]) -> None:
        await self._interleaver.step("send")
        is_taken = self._interleaver.dice.random() >= self.fails / 2
        if is_taken:
            self._seen += [json.loads(event.json) for event in events]
        await self._interleaver.step("sent" if is_taken else "refused")
        if not is_taken or self._interleaver.dice.random() < self.fails / 2:
            raise SendFailed("500")


class _Outbox(Outbox):
    """Notes what became a dead letter: it has lost its place in the order."""

    buried: set[tuple[int, int, int]]

    async def bury(
        self, endpoint: str, head: Head, logged: Sequence[tuple[int, str]], extra_ids: Sequence[int], error: str
    ) -> None:
        self.buried |= {(head.stream, seq, 0) for seq, _ in logged} | {(head.stream, 0, id_) for id_ in extra_ids}
        await super().bury(endpoint, head, logged, extra_ids, error)


class Endpoint:
    """What an endpoint has got. `give_up_s` as in its delivery."""

    def __init__(self, interleaver: Interleaver, name: str, types: frozenset[str], give_up_s: float | None) -> None:
        self.name = name
        self.types = types
        self.give_up_s = give_up_s
        self.is_set_up = True
        self.seen: list[dict[str, Any]] = []
        self.buried: set[tuple[int, int, int]] = set()
        self.counts = _Counts()
        self.sender = _Sender(interleaver, self.seen)
        self.drop: Drop | None = None


class Deliverer:
    """A node that delivers to the endpoints that are set up, until it crashes and starts again."""

    def __init__(self, interleaver: Interleaver, name: str, database: Database, endpoints: Sequence[Endpoint]) -> None:
        self._interleaver = interleaver
        self.name = name
        self._database = database
        self._endpoints = endpoints
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._deliveries: dict[str, EndpointDelivery] = {}

    def start(self) -> None:
        """Deliver to those endpoints to which it does not yet."""
        for endpoint in self._endpoints:
            if endpoint.name in self._tasks or not endpoint.is_set_up:
                continue
            outbox = _Outbox(self._database, Wanted({endpoint.name: endpoint.types}))
            outbox.buried = endpoint.buried
            loader = Loader(endpoint.name, endpoint.types, outbox, EventRanges(self._database))
            delivery = EndpointDelivery(
                endpoint.name, endpoint.sender, outbox, loader, endpoint.counts, give_up_s=endpoint.give_up_s
            )
            self._deliveries[endpoint.name] = delivery
            runs = (delivery.run_fresh, delivery.run_late)
            self._tasks[endpoint.name] = [asyncio.create_task(self._run(run)) for run in runs]

    async def _run(self, run: Callable[[], Awaitable[None]]) -> None:
        self._interleaver.act_as(self.name)
        await run()

    def stir(self) -> None:
        """Something was committed."""
        for delivery in self._deliveries.values():
            delivery.stir()

    async def crash(self) -> None:
        """Stop in the middle of everything."""
        for endpoint in self._endpoints:
            await self.stop(endpoint)

    async def stop(self, endpoint: Endpoint) -> None:
        """Stop in the middle of what is done for this endpoint."""
        tasks = self._tasks.pop(endpoint.name, [])
        self._deliveries.pop(endpoint.name, None)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(error, asyncio.CancelledError) for error in ended), ended
