"""The readiness of a node and its reasons."""

from gateway.server.health import Health, State
from gateway.server.startup import NoBarrier
from tests.gateway.quiet_broker import QuietBroker


class Sick:
    """A node that is well, until the test makes it otherwise."""

    def __init__(self) -> None:
        self.broker = QuietBroker()
        self.gate = NoBarrier()
        self.gate.listening()
        self.failures: list[str] = []
        self.health = Health(self.broker, self.gate, self.failures)


def test_node_is_starting_until_its_gate_opens() -> None:
    gate = NoBarrier()
    health = Health(QuietBroker(), gate, [])
    assert (health.state, health.is_ready) == (State.STARTING, False)
    gate.listening()
    assert (health.state, health.is_ready) == (State.READY, True)


def test_deaf_node_is_not_ready() -> None:
    sick = Sick()
    sick.broker.deaf = True
    assert (sick.health.state, sick.health.is_ready) == (State.DEAF, False)
    sick.broker.deaf = False
    assert sick.health.is_ready


def test_node_deaf_to_one_shard_is_not_ready_with_another_down() -> None:
    sick = Sick()
    sick.broker.down = sick.broker.deaf = True
    assert (sick.health.state, sick.health.is_ready) == (State.DEAF, False)
    assert sick.health.report()["redis"] == "deaf"


def test_node_rejected_by_redis_is_not_ready_with_reason() -> None:
    sick = Sick()
    sick.broker.down, sick.broker.refusal = True, "Redis rejects the password"
    assert (sick.health.state, sick.health.is_ready) == (State.REFUSED, False)
    assert sick.health.report() == {
        "status": "refused",
        "redis": "refused",
        "database": "up",
        "reasons": ["Redis rejects the password"],
    }


def test_redis_outage_degrades_but_keeps_node_ready() -> None:
    sick = Sick()
    sick.broker.down = True
    assert (sick.health.state, sick.health.is_ready) == (State.DEGRADED, True)
    assert sick.health.report() == {"status": "degraded", "redis": "down", "database": "up"}


def test_store_outage_degrades_until_it_responds() -> None:
    sick = Sick()
    sick.health.store_answered(False)
    assert (sick.health.state, sick.health.is_ready) == (State.DEGRADED, True)
    assert sick.health.report() == {"status": "degraded", "redis": "up", "database": "down"}
    sick.health.store_answered(True)
    assert sick.health.state is State.READY


def test_queue_outage_degrades_node_if_a_queue_is_configured() -> None:
    sick, is_up = Sick(), False
    sick.health.watch_queue(lambda: is_up, lambda: "")
    assert (sick.health.state, sick.health.is_ready) == (State.DEGRADED, True)
    assert sick.health.report() == {"status": "degraded", "redis": "up", "database": "up", "queue": "down"}
    is_up = True
    assert sick.health.report() == {"status": "ready", "redis": "up", "database": "up", "queue": "up"}


def test_rejected_queue_degrades_with_the_reason() -> None:
    sick = Sick()
    sick.health.watch_queue(lambda: False, lambda: "it belongs to another store")
    assert (sick.health.state, sick.health.is_ready) == (State.DEGRADED, True)
    assert sick.health.report()["reasons"] == ["it belongs to another store"]


def test_deaf_node_is_not_ready_during_store_outage() -> None:
    sick = Sick()
    sick.broker.deaf = True
    sick.health.store_answered(False)
    assert (sick.health.state, sick.health.is_ready) == (State.DEAF, False)


def test_draining_node_is_never_ready() -> None:
    sick = Sick()
    sick.health.drain()
    sick.health.store_answered(True)
    assert (sick.health.state, sick.health.is_ready) == (State.DRAINING, False)


def test_failed_task_takes_precedence_in_report() -> None:
    sick = Sick()
    sick.health.drain()
    sick.broker.down = True
    sick.failures.append("position check")
    assert (sick.health.state, sick.health.is_ready) == (State.BROKEN, False)
    assert sick.health.report()["failed"] == ["position check"]


def test_report_has_state_of_each_dependency() -> None:
    sick = Sick()
    assert sick.health.dependencies == {"redis": True, "subscription": True, "database": True}
    sick.broker.deaf = True
    sick.health.store_answered(False)
    sick.health.watch_queue(lambda: False, lambda: "")
    assert sick.health.dependencies == {"redis": True, "subscription": False, "database": False, "queue": False}
    assert not sick.health.is_draining
    sick.health.drain()
    assert sick.health.is_draining
