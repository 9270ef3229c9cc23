"""Faults of PostgreSQL and RabbitMQ: crash, freeze, cut connections, or locks held by others."""

import asyncio
import random
from collections.abc import Sequence

import asyncpg

from tests.faults.act import Act, Blow
from tests.faults.outage import be_dead, hold_still
from tests.faults.rig import Rig
from tests.faults.schedule import Kind, Planned
from tests.faults.sockets import Socket

STORMS_S = 0.3


async def _restart(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    async with rig.postgres_lock:
        blow.hit()
        await be_dead(rig.postgres, fault.duration_s / 2)


async def _pause(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    async with rig.postgres_lock:
        blow.hit()
        await hold_still(rig.postgres, fault.duration_s)


async def _terminate(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    """Cut backends at random moments, some of them in the middle of a COMMIT: its outcome is then unknown."""
    async with rig.postgres_lock:
        blow.hit()
        link = await asyncpg.connect(rig.database_url)
        try:
            end = asyncio.get_running_loop().time() + fault.duration_s / 2
            while asyncio.get_running_loop().time() < end:
                await link.fetch(_TERMINATE)
                await asyncio.sleep(random.uniform(0, STORMS_S))
        finally:
            await link.close()


def _lock(statement: str) -> Act:
    """Somebody else's transaction sits on what the statement locks."""

    async def act(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
        async with rig.postgres_lock:
            blow.hit()
            link = await asyncpg.connect(rig.database_url)
            try:
                async with link.transaction():
                    await link.execute(statement)
                    await asyncio.sleep(fault.duration_s)
            finally:
                await link.close()

    return act


_LOCK_CHATS = "SELECT FROM chats WHERE id % 3 = 0 FOR UPDATE"
_LOCK_MEMBERSHIPS = "LOCK TABLE memberships IN ACCESS EXCLUSIVE MODE"
_TERMINATE = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'chat-gateway' AND pid <> pg_backend_pid() AND random() < 0.5"""


async def _queue_restart(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    async with rig.rabbitmq_lock:
        blow.hit()
        await be_dead(rig.rabbitmq, fault.duration_s / 4)


async def _queue_pause(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    async with rig.rabbitmq_lock:
        blow.hit()
        await hold_still(rig.rabbitmq, fault.duration_s)


STORE_ACTS: dict[Kind, Act] = {
    Kind.POSTGRES_RESTART: _restart,
    Kind.POSTGRES_PAUSE: _pause,
    Kind.POSTGRES_TERMINATE: _terminate,
    Kind.POSTGRES_LOCKS: _lock(_LOCK_CHATS),
    Kind.POSTGRES_TABLE_LOCK: _lock(_LOCK_MEMBERSHIPS),
    Kind.QUEUE_RESTART: _queue_restart,
    Kind.QUEUE_PAUSE: _queue_pause,
}
