"""Whether this node should get connections, and why not.

A node that alone has a fault says so and is left out. An outage that all nodes share leaves them ready and `degraded`:
taking all of them out would help nobody (delivery.md 9). Liveness touches neither Redis nor the database.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum

from gateway.broker import Broker
from gateway.gate import Gate


class State(StrEnum):
    """What `/readyz` says."""

    READY = "ready"
    DEGRADED = "degraded"
    STARTING = "starting"
    DRAINING = "draining"
    DEAF = "deaf"
    BROKEN = "broken"


_IS_READY = frozenset({State.READY, State.DEGRADED})


class Health:
    """The node's state, read afresh at each question.

    `failures` names the tasks that the node cannot do without and that have died: only a restart helps.
    """

    def __init__(self, broker: Broker, gate: Gate, failures: Sequence[str]) -> None:
        self._broker = broker
        self._gate = gate
        self._failures = failures
        self._is_draining = False
        self._is_store_down = False
        self._is_queue_up: Callable[[], bool] | None = None

    def drain(self) -> None:
        """The node is leaving."""
        self._is_draining = True

    def store_answered(self, answered: bool) -> None:
        """Whether the database answered when it was last asked."""
        self._is_store_down = not answered

    def watch_queue(self, is_up: Callable[[], bool]) -> None:
        """This node has a durable queue, too."""
        self._is_queue_up = is_up

    @property
    def is_draining(self) -> bool:
        """Whether it is leaving."""
        return self._is_draining

    @property
    def dependencies(self) -> dict[str, bool]:
        """What it stands on, and whether that answers; `subscription` is this node's own ear in Redis."""
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
        """The most serious thing that there is to say."""
        if self._failures:
            return State.BROKEN
        if self._is_draining:
            return State.DRAINING
        if not self._gate.is_open:
            return State.STARTING
        if self._broker.deaf:
            return State.DEAF
        if self._broker.down or self._is_store_down or self._is_queue_down:
            return State.DEGRADED
        return State.READY

    @property
    def is_alive(self) -> bool:
        """Whether it can still become well by itself; if not, a restart (with its drain) is the only help."""
        return not self._failures

    @property
    def is_ready(self) -> bool:
        """Whether new connections should come here."""
        return self.state in _IS_READY

    def report(self) -> dict[str, object]:
        """The body of `/readyz`."""
        return {
            "status": self.state,
            "redis": "deaf" if self._broker.deaf else "down" if self._broker.down else "up",
            "database": "down" if self._is_store_down else "up",
            **({"queue": "down" if self._is_queue_down else "up"} if self._is_queue_up else {}),
            **({"failed": list(self._failures)} if self._failures else {}),
        }
