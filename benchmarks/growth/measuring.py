"""The cost of every statement that serves a client, in a store of a given size."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from pathlib import Path
from typing import Final

from benchmarks.growth.calls import CALLS, open_store
from benchmarks.growth.filling import fill
from benchmarks.growth.plans import PlanLog, StatementPlan, record_plans

WARM_UPS: Final = 5
"""Of each call; from the sixth on PostgreSQL may use one plan for all values."""
RUNS: Final = 3
"""Of each call after that. The cheapest counts: a row that happens to begin a new page costs an entry in each index."""
LOOKUP: Final = 2
"""Pages of the shortest lookup: an index of one page, and the row."""
SLACK: Final = 10
"""Buffers that count as none: pages of the catalogue, of the free space, and neighbours."""
LARGE: Final = 500
"""Rows of a large table."""
SMALL_STORE: Final = {"enable_seqscan": "off"}
"""Settings for a store below a million messages, with which a table is read as a whole only if it has no fit index.

Otherwise PostgreSQL often prefers to read the whole of a small table.
"""


@dataclass(slots=True)
class Cost:
    """All executions of one statement in one run of a call."""

    buffers: int = 0
    ms: float = 0.0
    scanned: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """The rows that sequential scans read, by table."""


Costs = Mapping[tuple[str, str], Cost]
"""By the name of the call and the statement."""


async def measure(
    database_url: str, server_log: Path, rows: int, busy_chats: int, settings: Mapping[str, str]
) -> Costs:
    """Fill the migrated, empty database with this number of messages, and run CALLS.

    `busy_chats` is the number of chats of the user of the most. `server_log` is the log of the PostgreSQL server, on
    which nothing else may write plans meanwhile. `settings` are PostgreSQL's for the connections.
    """
    await fill(database_url, rows, busy_chats)
    await record_plans(database_url, settings)
    costs: dict[tuple[str, str], Cost] = {}
    async with open_store(database_url) as store:
        for name, call in CALLS.items():
            for _ in range(WARM_UPS):
                await call(store)
            log = PlanLog(server_log)
            for _ in range(RUNS):
                await call(store)
                for statement, cost in _by_statement(log.new()).items():
                    known = costs.get((name, statement))
                    if known is None or cost.buffers < known.buffers:
                        costs[name, statement] = cost
    return costs


def _by_statement(plans: Sequence[StatementPlan]) -> Mapping[str, Cost]:
    costs: defaultdict[str, Cost] = defaultdict(Cost)
    for plan in plans:
        cost = costs[plan.statement]
        cost.buffers += plan.buffers
        cost.ms += plan.ms
        for table, scanned in plan.scanned.items():
            cost.scanned[table] += scanned
    return costs


def growing(small: Costs, large: Costs, times: float) -> list[str]:
    """The statements whose buffers grow faster than the logarithm of the store, which has grown so many times.

    An index has one more level at most for each 100 times as many rows, and one more because the first may begin
    anywhere; each costs a page a lookup. A statement that reads all rows needs `times` as many.
    """
    levels = 1 + log(times, 100)
    lines = []
    for (call, statement), cost in large.items():
        before = small.get((call, statement))
        if before is not None and cost.buffers > before.buffers * (1 + levels / LOOKUP) + SLACK:
            lines.append(f"{call}: {before.buffers} → {cost.buffers} buffers: {statement}")
    return lines


def scanning(costs: Costs) -> list[str]:
    """The statements that read a large table from beginning to end."""
    return [
        f"{call}: {rows} rows of {table}: {statement}"
        for (call, statement), cost in costs.items()
        for table, rows in cost.scanned.items()
        if rows >= LARGE
    ]
