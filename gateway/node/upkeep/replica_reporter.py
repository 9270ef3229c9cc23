"""Reports this replica to the others once a second, and reads what all of them report.

A report is a hint: without Redis each replica knows itself only.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from gateway.errors import RedisUnavailable
from gateway.metrics.totals import Totals
from gateway.protocol.replica_report import Report, Seen

INTERVAL_S: Final = 1.0


class NodeState(Protocol):
    """Implemented by `gateway.server.health.Health`."""

    @property
    def state(self) -> str:
        """In one word."""
        ...

    @property
    def dependencies(self) -> dict[str, bool]:
        """Whether each server that the node needs is up."""
        ...


class ReplicaReports(Protocol):
    """The last report of each replica; both methods raise RedisUnavailable."""

    async def put(self, report: Report) -> None:
        """Replace the report of this replica."""
        ...

    async def all(self) -> list[Seen]:
        """The reports of replicas that are not gone, in no order."""
        ...


class ReplicaReporter:
    """`run` is its owner task. `totals()` reads the metrics of this process."""

    def __init__(
        self, replica: str, version: str, state: NodeState, totals: Callable[[], Totals], reports: ReplicaReports
    ) -> None:
        self.replica = replica
        self._version = version
        self._state = state
        self._totals = totals
        self._reports = reports
        self._started_at = round(time.time())
        self._before = totals()
        self._read_at = time.monotonic()
        self._own = self._take()

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            self._own = self._take()
            with suppress(RedisUnavailable):
                await self._reports.put(self._own)

    async def all(self) -> list[Seen]:
        """Every replica that is known, by name; this one is always among them."""
        others: list[Seen] = []
        with suppress(RedisUnavailable):
            others = [seen for seen in await self._reports.all() if seen.report.replica != self.replica]
        own = Seen(time.monotonic() - self._read_at, self._own)
        return sorted([own, *others], key=lambda seen: seen.report.replica)

    def _take(self) -> Report:
        now, at, before = self._totals(), time.monotonic(), self._before
        seconds = max(at - self._read_at, 0.001)
        self._before, self._read_at = now, at
        return Report(
            replica=self.replica,
            pid=os.getpid(),
            version=self._version,
            state=self._state.state,
            dependencies=self._state.dependencies,
            started_at=self._started_at,
            connections=round(now.connections),
            seats=round(now.seats),
            stored_per_s=round((now.stored - before.stored) / seconds, 1),
            delivered_per_s=round((now.delivered - before.delivered) / seconds, 1),
            delivery_lag_ms=_mean_ms(now.lag_s - before.lag_s, now.lags - before.lags),
            loop_lag_ms=_mean_ms(now.loop_lag_s - before.loop_lag_s, now.loop_lags - before.loop_lags),
            gaps=round(now.gaps),
            repaired_events=round(now.repaired),
        )


def _mean_ms(seconds: float, count: float) -> float | None:
    return round(seconds / count * 1000, 2) if count else None
