"""Builds what lets events out of a node: webhooks and the exchange of RabbitMQ, over one outbox."""

from contextlib import AsyncExitStack

from gateway.config.settings import Settings
from gateway.config.webhooks import read_webhooks
from gateway.interfaces.outbox import OutboxQueue
from gateway.metrics import Metrics
from gateway.redis.backend import Backend
from gateway.tracing.tracing import Tracing
from gateway.webhooks.attendance import AttendanceReader
from gateway.webhooks.outlet import EXCHANGE, Outlet
from storage.database.database import Database
from storage.log.event_ranges import EventRanges
from storage.outbox.member_ids import MemberIds
from storage.outbox.queue import Outbox
from storage.outbox_records import EventType, Wanted


def wanted_of(settings: Settings) -> Wanted:
    """What changes must write to the outbox.

    Raises: SettingsError.
    """
    types: dict[str, frozenset[str]] = {one.name: frozenset(one.events) for one in read_webhooks(settings)}
    if settings.events_exchange:
        types[EXCHANGE] = frozenset(EventType)
    return Wanted(types)


async def add_outlet(
    stack: AsyncExitStack,
    settings: Settings,
    database: Database,
    node_id: str,
    redis: Backend,
    metrics: Metrics,
    failures: list[str],
    tracing: Tracing,
) -> tuple[OutboxQueue, Outlet]:
    """The outbox, and all endpoints of the settings; connections close with the stack. Call `start` on the outlet.

    Raises: SettingsError, StorageUnavailable.
    """
    outbox = Outbox(database, wanted_of(settings))
    await outbox.begin()
    attendance = AttendanceReader(MemberIds(database), redis.presence, redis.clients)
    outlet = Outlet(outbox, EventRanges(database), metrics.webhooks, attendance, tracing.sender)
    allows_private = settings.webhook_allow_private
    await outlet.add_webhooks(stack, read_webhooks(settings), allows_private=allows_private, headers=tracing.headers)
    if settings.events_exchange:
        from gateway.rabbitmq.exchange import open_exchange  # takes 0.1 s, so only nodes with an exchange import it

        exchange = open_exchange(
            settings.amqp_url,
            settings.events_exchange,
            node_id,
            lambda: metrics.queue.link_lost("events"),
            lambda name, _: failures.append(name),
        )
        outlet.add(EXCHANGE, frozenset(EventType), await stack.enter_async_context(exchange))
    return outbox, outlet
