"""Faults of Redis: crash, freeze, data loss, failover, or an interrupted subscription."""

import asyncio
from collections.abc import Sequence

import redis.asyncio

from tests.faults.act import Act, Blow
from tests.faults.outage import be_dead, hold_still
from tests.faults.rig import Rig, in_thread
from tests.faults.schedule import Kind, Planned
from tests.faults.sockets import Socket

NOTICED_S = 20.0
"""A node that has not noticed by then that it is deaf does not count as one that has."""


async def _restart(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    async with rig.redis_lock:
        blow.hit()
        await lose_redis(rig, fault.duration_s)


async def lose_redis(rig: Rig, duration_s: float) -> None:
    """Kill both servers: no replica can take over and all data is lost. The caller holds the lock."""
    await asyncio.gather(*(be_dead(server, duration_s) for server in rig.redis.servers.values()))


async def _pause(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    """For a second it is just silent; after that Sentinels make the replica the master, and it wakes up demoted."""
    async with rig.redis_lock:
        master = await rig.redis.master()
        blow.hit()
        await hold_still(master, fault.duration_s)


def _command(*words: str) -> Act:
    async def act(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
        async with rig.redis_lock:
            master = await rig.redis.whole()
            blow.hit()
            async with redis.asyncio.Redis(port=master.port) as link:
                await link.execute_command(*words)  # type: ignore[no-untyped-call]

    return act


async def _failover(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    """Cut the master off from its replica and the Sentinels, but not from the nodes.

    They go on with it while another is made the master, and what they write is lost once it is demoted.
    """
    async with rig.redis_lock:
        old = await rig.redis.whole()
        hub = next(rig.hubs[port] for port, server in rig.redis.servers.items() if server is old)
        blow.hit()
        hub.stall()
        try:
            await rig.redis.failed_over(old)
            await asyncio.sleep(fault.duration_s / 4)
        finally:
            hub.heal()
        await rig.redis.whole()


async def _master_kill(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    async with rig.redis_lock:
        old = await rig.redis.whole()
        blow.hit()
        await in_thread(old.kill)
        try:
            await rig.redis.failed_over(old)
            await asyncio.sleep(fault.duration_s / 4)
        finally:
            await in_thread(old.start)
        await rig.redis.whole()


async def _switch(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    async with rig.redis_lock:
        old = await rig.redis.whole()
        blow.hit()
        await rig.redis.order_failover(old)
        await rig.redis.whole()


async def _deaf_ear(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    """Nothing comes down a node's subscription, until it has noticed."""
    place = rig.places[fault.place]
    async with place.lock, rig.redis_lock:
        before = place.node.log.count(_NOTICED)
        blow.hit()
        for link in place.redis:
            link.ears.clear()
        try:
            async with asyncio.timeout(NOTICED_S):
                while place.node.log.count(_NOTICED) == before:
                    await asyncio.sleep(0.1)
            blow.noticed()
        except TimeoutError:
            pass
        finally:
            for link in place.redis:
                link.heal()


_NOTICED = '"probe_failed"'


REDIS_ACTS: dict[Kind, Act] = {
    Kind.REDIS_RESTART: _restart,
    Kind.REDIS_FLUSH: _command("FLUSHALL"),
    Kind.REDIS_PAUSE: _pause,
    Kind.REDIS_KILL_PUBSUB: _command("CLIENT", "KILL", "TYPE", "pubsub"),
    Kind.REDIS_DEAF_EAR: _deaf_ear,
    Kind.REDIS_FAILOVER: _failover,
    Kind.REDIS_MASTER_KILL: _master_kill,
    Kind.REDIS_SWITCH: _switch,
}
