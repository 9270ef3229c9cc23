"""The Redis services of one gateway node, with short intervals for tests, and a record of their callbacks."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.interfaces.presence import Entered, Seat
from gateway.redis.connection.command_client import CommandClient
from gateway.redis.connection.events import RedisEvents
from gateway.redis.namespace import Namespace
from gateway.redis.presence.lease import Lease, lease_key
from gateway.redis.presence.presence import RedisPresence
from gateway.redis.pubsub.broker import RedisBroker
from gateway.redis.rate_limits import RedisRateLimits
from gateway.tasks import Tasks
from tests.support.waiting import eventually, eventually_async

LEASE_S = 1.0
INTERVAL_S = 0.3
PROBE_INTERVAL_S = 0.3
NAMES = Namespace("store", "test")


@dataclass
class Ear:
    """Meets BrokerListener and PresenceListener, and remembers."""

    batches: list[list[tuple[int, bytes]]] = field(default_factory=list)
    announcements: list[bytes] = field(default_factory=list)
    interruptions: int = 0
    gone: list[tuple[int, int, str, int]] = field(default_factory=list)
    entered: list[tuple[Seat, Entered]] = field(default_factory=list)
    displaced: list[Seat] = field(default_factory=list)

    @property
    def heard(self) -> list[tuple[int, bytes]]:
        """Every publication, in order."""
        return [publication for batch in self.batches for publication in batch]

    def on_publications(self, batch: Sequence[tuple[int, bytes]]) -> None:
        """See BrokerListener."""
        self.batches.append(list(batch))

    def on_announcements(self, batch: Sequence[bytes]) -> None:
        """See BrokerListener."""
        self.announcements += batch

    def on_interrupted(self) -> None:
        """See BrokerListener."""
        self.interruptions += 1

    def on_gone(self, chat_id: int, user_id: int, username: str, count: int) -> None:
        """See PresenceListener."""
        self.gone.append((chat_id, user_id, username, count))

    def on_entered(self, seat: Seat, entered: Entered) -> None:
        """See PresenceListener."""
        self.entered.append((seat, entered))

    def on_displaced(self, seat: Seat) -> None:
        """See PresenceListener."""
        self.displaced.append(seat)


@dataclass
class Node:
    """What one gateway process has of Redis."""

    node_id: str
    link: CommandClient
    broker: RedisBroker
    lease: Lease
    presence: RedisPresence
    limits: RedisRateLimits
    ear: Ear
    tasks: Tasks
    happened: list[str]
    failures: list[BaseException]

    async def die(self) -> None:
        """End as after kill −9: no goodbye to Redis."""
        await self.tasks.close()


@asynccontextmanager
async def open_node(
    url: str,
    node_id: str = "node",
    *,
    subscription_url: str = "",
    probe_interval_s: float = PROBE_INTERVAL_S,
    lease_s: float = LEASE_S,
    sweep_interval_s: float = INTERVAL_S,
    limit: int = 10,
    wait: bool = True,
) -> AsyncIterator[Node]:
    """A connected node (unless `wait` is false); its subscription may use another URL than its commands."""
    happened: list[str] = []
    failures: list[BaseException] = []
    ear = Ear()
    events = RedisEvents(happened.append, lambda _, error: failures.append(error))
    link = CommandClient(url)
    broker = RedisBroker(subscription_url or url, link, NAMES, node_id, events, probe_interval_s=probe_interval_s)
    lease = Lease(link, node_id, lease_s=lease_s, interval_s=INTERVAL_S)
    presence = RedisPresence(link, node_id, events, lease=lease, sweep_interval_s=sweep_interval_s)
    tasks = Tasks(events.task_failed)
    tasks.spawn(link.run(), "redis link")
    tasks.spawn(broker.run(ear), "redis subscription")
    tasks.spawn(broker.probe(), "redis probe")
    tasks.spawn(broker.flush(), "redis publish queue")
    tasks.spawn(presence.keep(), "presence lease")
    tasks.spawn(presence.settle(ear), "presence upkeep")
    tasks.spawn(presence.sweep(ear), "presence sweep")
    if wait:
        await eventually(lambda: link.is_up and not broker.deaf)
        await eventually_async(lambda: _is_known(link, lease))
    node = Node(node_id, link, broker, lease, presence, RedisRateLimits(link, limit), ear, tasks, happened, failures)
    try:
        yield node
    finally:
        await tasks.close()
    assert not failures


async def _is_known(link: CommandClient, lease: Lease) -> bool:
    return bool(await link.call("EXISTS", lease_key(lease.name)))
