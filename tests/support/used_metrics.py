"""The metrics of a node with auth after every event has occurred."""

import time
from datetime import UTC, datetime

from gateway.metrics import Metrics
from gateway.metrics.auth import AuthMetrics
from gateway.protocol.codes import Close
from gateway.protocol.pushes import Typing
from gateway.rabbitmq.queue import OUTCOMES
from storage.outbox_records import Backlog
from storage.records import ChatEvent, EventKind, Person

ANN = Person(1, "ann", "", "")


class FakeClient:
    """A client with this number of unsent bytes."""

    def __init__(self, buffered: int) -> None:
        self.buffered = buffered


def event(seconds_ago: float, kind: EventKind = EventKind.MESSAGE, *, seq: int = 1) -> ChatEvent:
    """An event of a message that was stored this long ago."""
    stored_at = datetime.fromtimestamp(time.time() - seconds_ago, UTC)
    return ChatEvent(
        chat_id=1,
        seq=seq,
        kind=kind,
        message_id=1,
        sender=ANN,
        text="hi",
        created_at=stored_at,
        is_edited=False,
        is_deleted=False,
        client_msg_id="a",
    )


def used() -> Metrics:
    """Metrics of a node with auth after every event has occurred once."""
    metrics = Metrics()
    clients, delivery = metrics.clients, metrics.delivery
    clients.watch([FakeClient(10), FakeClient(5)], lambda: 7)
    clients.accepted("chat")
    clients.accepted("chat")
    clients.turned_away("chat", "unauthorized")
    clients.closed("chat", Close.DRAIN)
    clients.handled("chat", "message", 0.002)
    clients.answered("chat", 0.006)
    clients.refused("chat", "message", "rate_limited")
    clients.upstream_ended("closed")
    clients.service_called("bank", True)
    clients.notices("chat_added", 2)
    hook = metrics.webhooks.of("one")
    hook.delivered(3)
    hook.failed("status 500")
    hook.given_up(1)
    hook.waits(Backlog(events=5, streams=2, failing=1, dead=1, lag_s=3.0))
    delivery.watch(chats=lambda: 2, gaps=lambda: 1, kept=lambda: 1000, waiting=lambda: 6)
    delivery.committed(12, 0.004)
    delivery.transcribed(8, 0.003)
    delivery.broadcast([event(0.2), event(100, EventKind.EDIT), Typing(1, ANN, True)], 10, 900)
    delivery.gap(0)
    delivery.gap(5)
    delivery.page("memory")
    metrics.redis.watch(lambda: 3, lambda: 0)
    metrics.redis.of(0).happened("reconnected")
    metrics.redis.of(0).answered(0.001)
    metrics.redis.of(0).probed(0.002)
    metrics.database.waited(0.003)
    metrics.servers.watch(lambda: {"redis": True, "database": False})
    metrics.queue.watch(lambda: 4, OUTCOMES)
    metrics.queue.settled("stored")
    metrics.queue.link_lost("publish")
    metrics.process.watch(ready=lambda: True, draining=lambda: False)
    metrics.process.loop_lag(0.25)
    metrics.audit.watch(lambda: 2)
    metrics.audit.counted("stored", 3)
    auth = AuthMetrics(metrics.registry)
    auth.watch(lambda: 9)
    auth.login("granted")
    auth.registered()
    auth.guest()
    auth.hashed(0.02)
    return metrics
