"""Buffers and time of every statement that serves a client, in stores of three sizes. Not among the default workloads.

Buffers are compared, since they are the same on every machine; the time is what this one needed, with a warm cache.
"""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.growth.calls import OF_BUSY_USER
from benchmarks.growth.measuring import SMALL_STORE, Cost, Costs, growing, measure, scanning
from benchmarks.progress import Progress
from benchmarks.result import Bound, Section, Table, short
from storage.database.migrate import migrate
from tests.support.servers import PostgresServer, temporary_folder

SIZES = (1_000_000, 5_000_000, 16_000_000)
QUICK_SIZES = (20_000, 80_000, 320_000)
MEMORY = {"shared_buffers": "512MB", "maintenance_work_mem": "256MB", "max_wal_size": "8GB"}
BUSY_CHATS = 10_000
QUICK_BUSY_CHATS = 100
SHOWN = 90
"""Characters of a statement in the table."""


def count_steps(quick: bool) -> int:
    """One for each size."""
    return len(SIZES)


def run(folder: Path, quick: bool, progress: Progress) -> Section:
    """Measure at each size."""
    sizes = QUICK_SIZES if quick else SIZES
    busy_chats, settings = (QUICK_BUSY_CHATS, SMALL_STORE) if quick else (BUSY_CHATS, {})
    server_folder = temporary_folder()  # accessible to the user of PostgreSQL
    try:
        postgres = PostgresServer(server_folder, fsync="off", **MEMORY)
        try:
            postgres.start()
            measured = [_measure(postgres, rows, busy_chats, settings, progress) for rows in sizes]
        finally:
            postgres.stop()
    finally:
        shutil.rmtree(server_folder, ignore_errors=True)
    return Section("growth", [table_of(sizes, busy_chats, measured)])


def _measure(
    postgres: PostgresServer, rows: int, busy_chats: int, settings: Mapping[str, str], progress: Progress
) -> Costs:
    progress.next(f"a store of {rows:,} messages")
    url = postgres.create_database()
    asyncio.run(migrate(url))
    costs = asyncio.run(measure(url, postgres.folder / "server.log", rows, busy_chats, settings))
    postgres.drop_database(url)
    return costs


def table_of(sizes: Sequence[int], busy_chats: int, measured: Sequence[Costs]) -> Table:
    """A row for each statement of each call."""
    statements = dict.fromkeys(key for costs in measured for key in costs)
    rows = []
    for key in statements:
        call, statement = key
        costs = [size.get(key) for size in measured]
        text = statement[:SHOWN].replace("|", r"\|")  # a bare one ends the cell
        rows.append((call, f"`{text}`", *map(_buffers, costs), *map(_ms, costs), _scans(costs[-1])))
    columns = [f"{what}, {size / 1e6:g} M" for what in ("buffers", "ms") for size in sizes]
    grow = growing(measured[0], _of_others(measured[-1]), sizes[-1] / sizes[0])
    scan = scanning(measured[-1])
    bounds = [
        Bound("statements whose buffers grow faster than the logarithm of the store", len(grow), 0),
        Bound("statements that read a large table from beginning to end", len(scan), 0),
    ]
    notes = [
        "Sizes are stored messages; the store has a user for 20 of them, a chat for 100, and one chat with all users "
        "and a fifth of the messages.",
        f"The busy user has {busy_chats:,} chats at every size (but at most all). In a smaller store they are closer "
        "to each other and share pages, so these calls do not count as growing.",
        "A buffer is a page of 8 KiB of a table or an index. The cheapest of three calls counts.",
        "The last column has the tables that a statement reads from beginning to end, with the rows, at the last size.",
        *(f"Grows: `{line}`" for line in grow),
        *(f"Reads a whole table: `{line}`" for line in scan),
    ]
    title = "Growth: the cost of each statement by the size of the store"
    return Table(title, ("call", "statement", *columns, "scanned"), rows, bounds, notes)


def _of_others(costs: Costs) -> Costs:
    return {key: cost for key, cost in costs.items() if key[0] not in OF_BUSY_USER}


def _buffers(cost: Cost | None) -> str:
    return "–" if cost is None else f"{cost.buffers:,}"


def _ms(cost: Cost | None) -> str:
    return "–" if cost is None else short(cost.ms)


def _scans(cost: Cost | None) -> str:
    return "" if cost is None else ", ".join(f"{table} {rows:,}" for table, rows in cost.scanned.items())
