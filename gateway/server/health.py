"""Liveness and readiness of this node, with the reasons.

A node with a fault of its own is not ready. The same holds for a node whose password or permissions Redis rejects: a
wrong configuration does not pass by waiting, and its rollout must stop. An outage that all nodes share leaves them
ready and `degraded`, because removing all of them from the load balancer would not help (delivery.md 9).

Liveness depends on neither Redis nor the database.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum

from gateway.interfaces.broker import Broker
from gateway.server.startup import StartupBarrier


class State(StrEnum):
    """The status in the response of `/readyz`."""

    READY = "ready"
    DEGRADED = "degraded"
    STARTING = "starting"
    DRAINING = "draining"
    REFUSED = "refused"
    DEAF = "deaf"
    BROKEN = "broken"


_IS_READY = frozenset({State.READY, State.DEGRADED})


class Health:
    """The node's state, computed on each access.

    `failures` names the essential tasks that have died; only a restart recovers them.
    """

    def __init__(self, broker: Broker, gate: StartupBarrier, failures: Sequence[str]) -> None:
        self._broker = broker
        self._gate = gate
        self._failures = failures
        self._is_draining = False
        self._is_store_down = False
        self._is_queue_up: Callable[[], bool] | None = None
        self._queue_refusal: Callable[[], str] = lambda: ""
        self._differences: Callable[[], list[str]] = list

    def drain(self) -> None:
        """Set the state to draining, for the rest of the process."""
        self._is_draining = True

    def store_answered(self, answered: bool) -> None:
        """Record whether the database responded to the last check."""
        self._is_store_down = not answered

    def watch_queue(self, is_up: Callable[[], bool], refusal: Callable[[], str]) -> None:
        """Include the durable queue; `refusal` returns why RabbitMQ rejects us, or an empty string."""
        self._is_queue_up = is_up
        self._queue_refusal = refusal

    def watch_peers(self, differences: Callable[[], list[str]]) -> None:
        """Include configuration differences between processes; with any, all of them serve, but `degraded`."""
        self._differences = differences

    @property
    def is_draining(self) -> bool:
        """Whether this node is draining."""
        return self._is_draining

    @property
    def dependencies(self) -> dict[str, bool]:
        """The dependencies, and whether each is up; `subscription` is this node's own pub/sub connection to Redis."""
        return {
            "redis": not self._broker.down,
            "subscription": not self._broker.deaf,
            "database": not self._is_store_down,
            **({} if self._is_queue_up is None else {"queue": self._is_queue_up()}),
        }

    @property
    def _is_queue_down(self) -> bool:
        return self._is_queue_up is not None and not self._is_queue_up()

    @property
    def state(self) -> State:
        """The most serious state that applies."""
        if self._failures:
            return State.BROKEN
        if self._is_draining:
            return State.DRAINING
        if not self._gate.is_open:
            return State.STARTING
        if self._broker.refusal:
            return State.REFUSED
        if self._broker.deaf:
            return State.DEAF
        if self._broker.down or self._is_store_down or self._is_queue_down or self._differences():
            return State.DEGRADED
        return State.READY

    @property
    def is_alive(self) -> bool:
        """Whether the node can recover without a restart (which includes a drain)."""
        return not self._failures

    @property
    def is_ready(self) -> bool:
        """Whether this node should get new connections."""
        return self.state in _IS_READY

    def _reasons(self) -> list[str]:
        """What an operator has to change; without addresses of servers and names of our users."""
        reasons = [self._broker.refusal, self._queue_refusal(), *self._differences()]
        return [reason for reason in reasons if reason]

    def report(self) -> dict[str, object]:
        """The body of `/readyz`."""
        return {
            "status": self.state,
            "redis": "refused"
            if self._broker.refusal
            else "deaf"
            if self._broker.deaf
            else "down"
            if self._broker.down
            else "up",
            "database": "down" if self._is_store_down else "up",
            **({"queue": "down" if self._is_queue_down else "up"} if self._is_queue_up else {}),
            **({"reasons": reasons} if (reasons := self._reasons()) else {}),
            **({"failed": list(self._failures)} if self._failures else {}),
        }


class AuthHealth:
    """Readiness of a standalone auth process: not ready while Redis rejects its user, because its limits then fail.

    An outage of Redis or the database does not count: all replicas share it, and the 503 responses say when to retry.
    """

    def __init__(self, refusal: Callable[[], str], differences: Callable[[], list[str]]) -> None:
        self._refusal = refusal
        self._differences = differences

    @property
    def is_ready(self) -> bool:
        """Whether this process should get requests."""
        return not self._refusal()

    def report(self) -> dict[str, object]:
        """The body of `/readyz`."""
        refusal, differences = self._refusal(), self._differences()
        state = State.REFUSED if refusal else State.DEGRADED if differences else State.READY
        reasons = [reason for reason in (refusal, *differences) if reason]
        return {"status": state, **({"reasons": reasons} if reasons else {})}
