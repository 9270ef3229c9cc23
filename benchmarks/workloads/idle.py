"""What a node costs that has much open while nothing happens, and what it costs when all of that is lost at once.

In one process, with a real PostgreSQL and Redis. Not among the default workloads.
"""

import asyncio
import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

import asyncpg
import redis
import uvloop

from benchmarks.measured import Measured
from benchmarks.progress import Progress
from benchmarks.result import Bound, Figure, Section, Table, short
from gateway.delivery.hub import Hub
from gateway.delivery.repair import INTERVAL_S, Repair
from gateway.interfaces.presence import Seat
from gateway.node.leave_queue import LeaveQueue
from gateway.redis.presence.lease import chats_key, lease_key
from gateway.tasks import Tasks
from storage.database.database import open_database
from storage.database.migrate import migrate
from storage.log.chat_log import open_chat_log
from tests.gateway.redis.nodes import Node, open_node
from tests.support.servers import PostgresServer, RedisServer, temporary_folder
from tests.support.waiting import eventually

CHATS: Final = 50_000
SEATS: Final = 100_000
QUICK_SHARE: Final = 10
"""`--quick` has this part of them."""
CHECKS: Final = 10
SOCKET_CHATS: Final = 1_000
"""Chats of each user: as many subscriptions as a socket may have."""
LEASE_S: Final = 15.0
WAIT_S: Final = 600.0
_FILL: Final = """
INSERT INTO users (id, login, login_folded, password_hash, first_name, last_name, changed_at, created_at)
VALUES (1, 'ann', 'ann', 'hash', 'Ann', 'Lee', 1, now());
INSERT INTO chats (id, kind, title, creator_id, created_by, last_seq, members_version, last_activity, created_at)
SELECT i, 'group', 'chat ' || i, 1, 1, 0, 1, i, now() FROM generate_series(1, {chats}) i;
ANALYZE"""


def count_steps(quick: bool) -> int:
    """Two: the database, and Redis."""
    return 2


def run(folder: Path, quick: bool, progress: Progress) -> Section:
    """Measure one after the other."""
    share = QUICK_SHARE if quick else 1
    progress.next(f"position checks of {CHATS // share:,} chats")
    checks = _position_checks(CHATS // share)
    progress.next(f"{SEATS // share:,} seats")
    with RedisServer(folder) as server:
        seats = uvloop.run(_seats(server, SEATS // share))
    return Section("idle", [checks, seats])


def _position_checks(chats: int) -> Table:
    folder = temporary_folder()  # accessible to the user of PostgreSQL
    try:
        with PostgresServer(folder, fsync="off") as postgres:
            url = postgres.create_database()
            asyncio.run(migrate(url))
            return uvloop.run(_check(url, chats))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _ignore(_: Collection[int]) -> None:
    """Nobody is to be put out."""


async def _check(url: str, chats: int) -> Table:
    connection = await asyncpg.connect(url)
    await connection.execute(_FILL.format(chats=chats))
    await connection.close()
    async with open_database(url) as database, open_chat_log(database) as log:
        hub, tasks, epoch = Hub(), Tasks(), await log.epoch()
        for chat_id in range(1, chats + 1):
            local, _ = hub.open(chat_id)
            local.version = 1
            hub.start(local, 0, epoch)
        repair = Repair(hub, log, tasks, epoch, on_members_changed=_ignore)
        for _ in range(3):  # the first ones compare all
            await repair.check()
        rows = await database.fetch("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        backends = [Measured.alone(row["pid"]) for row in rows]
        postgres_s, node = sum(backend.cpu_s for backend in backends), []
        for _ in range(CHECKS):
            began = time.process_time()
            await repair.check()
            node.append(1000 * (time.process_time() - began))
        postgres_ms = 1000 * (sum(backend.cpu_s for backend in backends) - postgres_s) / CHECKS
        await tasks.close()
    node_ms = Figure(tuple(node))
    return Table(
        f"Idle: a position check of {chats:,} chats",
        ("", "CPU ms a check", "of a core, every 4 s"),
        [
            ("node", str(node_ms), f"{node_ms.median / INTERVAL_S / 10:.2f} %"),
            ("PostgreSQL", short(postgres_ms), f"{postgres_ms / INTERVAL_S / 10:.2f} %"),
        ],
    )


def _seat(number: int) -> Seat:
    user_id = number // SOCKET_CHATS
    return Seat(number % SOCKET_CHATS, user_id, f"user{user_id}", f"{number:032x}", False)


async def _seats(server: RedisServer, count: int) -> Table:
    rows: list[tuple[str, str, str, str]] = []
    client = redis.Redis(port=server.port)
    async with open_node(server.url, "node", lease_s=LEASE_S) as node:
        for start in range(0, count, 500):
            entering = (node.presence.enter(_seat(number)) for number in range(start, start + 500))
            await asyncio.gather(*entering, return_exceptions=True)  # what is too late is asserted later
        await eventually(lambda: not node.presence.doubtful, WAIT_S)
        node.happened.clear()
        began, cpu_s = time.monotonic(), time.process_time()
        client.flushall()
        await eventually(lambda: "lease_lost" in node.happened and not node.presence.doubtful, WAIT_S)
        asserted_s = time.monotonic() - began
        rows.append(("assert again after FLUSHALL", *_cells(began, cpu_s, count), ""))
        node.happened.clear()
        queue = LeaveQueue(node.presence, lambda *_: None)
        running = asyncio.create_task(queue.run())
        began, cpu_s = time.monotonic(), time.process_time()
        for number in range(count):
            queue.leave(_seat(number))
        await eventually(lambda: not len(queue), WAIT_S)
        rows.append(("release", *_cells(began, cpu_s, count), f"leases given up: {len(node.happened)}"))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        rows.append(("sweep a dead node's, in one chat", *await _sweep(node, client, count)))
    client.close()
    return Table(
        f"Idle: {count:,} seats",
        ("", "s", "node's CPU µs a seat", ""),
        rows,
        [Bound(f"{count:,} seats asserted again", asserted_s, None, 10.0, " s")],
    )


def _cells(began: float, cpu_s: float, count: int) -> tuple[str, str]:
    return short(time.monotonic() - began), short(1e6 * (time.process_time() - cpu_s) / count)


async def _sweep(node: Node, client: redis.Redis, count: int) -> tuple[str, str, str]:
    dead = "dead.1"
    with client.pipeline() as pipe:
        for user_id in range(count):
            pipe.hset("presence:1", str(user_id), f'{{"n":"user{user_id}","s":{{"{user_id:032x}":["{dead}",1,"1"]}}}}')
        pipe.sadd(chats_key(dead), 1)
        pipe.sadd("nodes", dead)
        client.delete(lease_key(dead))
        client.config_set("slowlog-max-len", count)
        client.config_set("slowlog-log-slower-than", 0)
        pipe.execute()
    client.slowlog_reset()
    began, cpu_s = time.monotonic(), time.process_time()
    await eventually(lambda: len(node.ear.gone) >= count, WAIT_S)
    cells = _cells(began, cpu_s, count)
    log = client.slowlog_get(count)
    steps = sorted(entry["duration"] / 1000 for entry in log if entry["command"].startswith(b"EVAL"))
    middle, last = steps[len(steps) // 2], steps[-1]
    return *cells, f"ms of Redis a step: {middle:.1f}, the longest {last:.1f}; {len(steps):,} steps"
