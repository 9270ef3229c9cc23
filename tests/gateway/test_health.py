"""Whether a node should get connections, and why not."""

from gateway.gate import OwnGate
from gateway.health import Health, State
from tests.gateway.quiet_broker import QuietBroker


class Sick:
    """A node that is well, until the test makes it otherwise."""

    def __init__(self) -> None:
        self.broker = QuietBroker()
        self.gate = OwnGate()
        self.gate.listening()
        self.failures: list[str] = []
        self.health = Health(self.broker, self.gate, self.failures)


def test_a_node_is_starting_until_its_gate_opens() -> None:
    gate = OwnGate()
    health = Health(QuietBroker(), gate, [])
    assert (health.state, health.is_ready) == (State.STARTING, False)
    gate.listening()
    assert (health.state, health.is_ready) == (State.READY, True)


def test_a_node_that_alone_is_deaf_is_left_out() -> None:
    sick = Sick()
    sick.broker.deaf = True
    assert (sick.health.state, sick.health.is_ready) == (State.DEAF, False)
    sick.broker.deaf = False
    assert sick.health.is_ready


def test_a_node_that_is_deaf_to_one_shard_is_left_out_though_another_is_down() -> None:
    sick = Sick()
    sick.broker.down = sick.broker.deaf = True
    assert (sick.health.state, sick.health.is_ready) == (State.DEAF, False)
    assert sick.health.report()["redis"] == "deaf"


def test_an_outage_that_all_nodes_share_leaves_them_in() -> None:
    sick = Sick()
    sick.broker.down = True
    assert (sick.health.state, sick.health.is_ready) == (State.DEGRADED, True)
    assert sick.health.report() == {"status": "degraded", "redis": "down", "database": "up"}


def test_a_store_that_is_away_degrades_until_it_answers() -> None:
    sick = Sick()
    sick.health.store_answered(False)
    assert (sick.health.state, sick.health.is_ready) == (State.DEGRADED, True)
    assert sick.health.report() == {"status": "degraded", "redis": "up", "database": "down"}
    sick.health.store_answered(True)
    assert sick.health.state is State.READY


def test_a_queue_that_is_away_degrades_and_is_spoken_of_only_where_there_is_one() -> None:
    sick, is_up = Sick(), False
    sick.health.watch_queue(lambda: is_up)
    assert (sick.health.state, sick.health.is_ready) == (State.DEGRADED, True)
    assert sick.health.report() == {"status": "degraded", "redis": "up", "database": "up", "queue": "down"}
    is_up = True
    assert sick.health.report() == {"status": "ready", "redis": "up", "database": "up", "queue": "up"}


def test_a_node_that_is_deaf_is_left_out_though_the_store_is_away_from_all() -> None:
    sick = Sick()
    sick.broker.deaf = True
    sick.health.store_answered(False)
    assert (sick.health.state, sick.health.is_ready) == (State.DEAF, False)


def test_a_node_that_leaves_is_not_ready_whatever_comes_back() -> None:
    sick = Sick()
    sick.health.drain()
    sick.health.store_answered(True)
    assert (sick.health.state, sick.health.is_ready) == (State.DRAINING, False)


def test_a_dead_task_is_said_before_all_else() -> None:
    sick = Sick()
    sick.health.drain()
    sick.broker.down = True
    sick.failures.append("position check")
    assert (sick.health.state, sick.health.is_ready) == (State.BROKEN, False)
    assert sick.health.report()["failed"] == ["position check"]


def test_it_says_of_each_thing_that_it_stands_on_whether_that_answers() -> None:
    sick = Sick()
    assert sick.health.dependencies == {"redis": True, "subscription": True, "database": True}
    sick.broker.deaf = True
    sick.health.store_answered(False)
    sick.health.watch_queue(lambda: False)
    assert sick.health.dependencies == {"redis": True, "subscription": False, "database": False, "queue": False}
    assert not sick.health.is_draining
    sick.health.drain()
    assert sick.health.is_draining
