"""What each kind of fault does: it starts, lasts, and is healed when its function returns."""

import asyncio
import random
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import asyncpg
import redis.asyncio

from tests.faults.crash_points import CrashPoint
from tests.faults.links import Link
from tests.faults.people import Member
from tests.faults.rig import Place, Rig, in_thread
from tests.faults.schedule import Kind, Planned
from tests.faults.servers import find_faketime

CRASH_WITHIN_S = 5.0
"""A node that has not come past the crash point by then is killed where it is."""
EXIT_S = 12.0
"""A node that was told to leave has left by then: DRAIN_DELAY_S + DRAIN_S, and uvicorn's own few seconds."""
RELOADS_S = 0.3
SLOW_S = 0.15
SLOW_BYTES_PER_S = 20_000.0

CLOCK_S = 300.0
REPLICATION_S = 1.0
"""For a replica to catch up before it is made the master."""

Hit = Callable[[], None]
Act = Callable[[Rig, Sequence[Member], Planned, Hit], Awaitable[None]]


def possible_kinds() -> Sequence[Kind]:
    """What this machine has the means for."""
    return [kind for kind in Kind if kind is not Kind.CLOCK_SKEW or find_faketime() is not None]


async def strike(rig: Rig, members: Sequence[Member], fault: Planned, hit: Hit) -> None:
    """Do it, wait, and heal it; `hit()` marks the moment in which it has struck, where that is not at once."""
    await _ACTS[fault.kind](rig, members, fault, hit)


# --- gateways


async def _kill(rig: Rig, _: Sequence[Member], fault: Planned, hit: Hit) -> None:
    place = rig.places[fault.place]
    async with place.lock:
        await in_thread(place.node.kill)
        await asyncio.sleep(fault.duration_s / 4)
        await place.start()


def _crash(point: CrashPoint) -> Act:
    async def act(rig: Rig, _: Sequence[Member], fault: Planned, hit: Hit) -> None:
        place = rig.places[fault.place]
        async with place.lock:
            place.node.order_crash(point, fault.number)
            with suppress(subprocess.TimeoutExpired):
                await in_thread(lambda: place.node.wait(CRASH_WITHIN_S))
            await in_thread(place.node.kill)
            hit()
            await asyncio.sleep(fault.duration_s / 4)
            await place.start()

    return act


async def _clock_skew(rig: Rig, _: Sequence[Member], fault: Planned, hit: Hit) -> None:
    """Run a node with another time; Redis goes away meanwhile, so that the node has to go by its own clock."""
    place = rig.places[fault.place]
    async with place.lock:
        place.node.set_clock(CLOCK_S if fault.number % 2 else -CLOCK_S)
        await _restart_politely(place)
        await _redis_restart(rig, (), fault, hit)
        place.node.set_clock(0)
        await in_thread(place.node.kill)
        await place.start()


async def _pause_gateway(rig: Rig, _: Sequence[Member], fault: Planned, hit: Hit) -> None:
    place = rig.places[fault.place]
    async with place.lock:
        place.node.pause()
        try:
            await asyncio.sleep(fault.duration_s)
        finally:
            place.node.resume()


async def _rolling_restart(rig: Rig, _: Sequence[Member], fault: Planned, hit: Hit) -> None:
    for place in rig.places:
        async with place.lock:
            await _restart_politely(place)


async def _restart_politely(place: Place) -> None:
    place.node.terminate()
    status = await in_thread(lambda: place.node.wait(EXIT_S))
    if status != 0:
        raise AssertionError(f"a node that was told to leave ended with {status}")
    await place.start()


# --- Redis


async def _redis_restart(rig: Rig, _: Sequence[Member], fault: Planned, hit: Hit) -> None:
    async with rig.redis_lock:
        await in_thread(rig.redis.kill)
        await asyncio.sleep(fault.duration_s)
        await in_thread(rig.redis.start)


async def _redis_pause(rig: Rig, _: Sequence[Member], fault: Planned, hit: Hit) -> None:
    async with rig.redis_lock:
        rig.redis.pause()
        try:
            await asyncio.sleep(fault.duration_s)
        finally:
            rig.redis.resume()


def _redis_command(*words: str) -> Act:
    async def act(rig: Rig, _: Sequence[Member], fault: Planned, hit: Hit) -> None:
        async with rig.redis_lock, redis.asyncio.Redis(port=rig.redis.port) as link:
            await link.execute_command(*words)  # type: ignore[no-untyped-call]

    return act


async def _redis_failover(rig: Rig, _: Sequence[Member], fault: Planned, hit: Hit) -> None:
    """Make the replica the master, under the same address. Its last writes are missing, since it was cut off before.

    Every other time nobody tells who is connected: they hang on to what is now a replica, as across a partition.
    """
    async with rig.redis_lock:
        old, new = rig.redis, rig.replica
        async with redis.asyncio.Redis(port=old.port) as old_link, redis.asyncio.Redis(port=new.port) as new_link:
            await new_link.replicaof("127.0.0.1", str(old.port))
            await asyncio.sleep(REPLICATION_S)
            await new_link.replicaof("NO", "ONE")
            await asyncio.sleep(fault.duration_s / 4)
            hit()
            for place in rig.places:
                place.redis.lead_to(new.port)
            await old_link.replicaof("127.0.0.1", str(new.port))
            if fault.number % 2:
                for place in rig.places:
                    place.redis.reset()
        rig.redis, rig.replica = new, old


# --- PostgreSQL


async def _postgres_restart(rig: Rig, _: Sequence[Member], fault: Planned, hit: Hit) -> None:
    async with rig.postgres_lock:
        await in_thread(rig.postgres.kill)
        await asyncio.sleep(fault.duration_s / 2)
        await in_thread(rig.postgres.start)


async def _postgres_pause(rig: Rig, _: Sequence[Member], fault: Planned, hit: Hit) -> None:
    async with rig.postgres_lock:
        await in_thread(rig.postgres.pause)
        try:
            await asyncio.sleep(fault.duration_s)
        finally:
            await in_thread(rig.postgres.resume)


async def _postgres_terminate(rig: Rig, _: Sequence[Member], fault: Planned, hit: Hit) -> None:
    """Cut backends at random moments, some of them in the middle of a COMMIT: its outcome is then unknown."""
    async with rig.postgres_lock:
        link = await asyncpg.connect(rig.database_url)
        try:
            end = asyncio.get_running_loop().time() + fault.duration_s / 2
            while asyncio.get_running_loop().time() < end:
                await link.fetch(_TERMINATE)
                await asyncio.sleep(random.uniform(0, RELOADS_S))
        finally:
            await link.close()


def _postgres_lock(statement: str) -> Act:
    """Somebody else's transaction sits on what the statement locks."""

    async def act(rig: Rig, _: Sequence[Member], fault: Planned, hit: Hit) -> None:
        async with rig.postgres_lock:
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


# --- links


def _on_link(choose: Callable[[Place], Link], spoil: Callable[[Link], None]) -> Act:
    async def act(rig: Rig, _: Sequence[Member], fault: Planned, hit: Hit) -> None:
        link = choose(rig.places[fault.place])
        spoil(link)
        try:
            await asyncio.sleep(fault.duration_s)
        finally:
            link.heal()

    return act


def _front(place: Place) -> Link:
    return place.front


def _redis_link(place: Place) -> Link:
    return place.redis


def _postgres_link(place: Place) -> Link:
    return place.postgres


def _deafen(link: Link) -> None:
    link.stall(link.downward)


def _mute(link: Link) -> None:
    link.stall(link.upward)


def _slow_down(link: Link) -> None:
    link.delay(SLOW_S)


def _throttle(link: Link) -> None:
    link.throttle(SLOW_BYTES_PER_S)


async def _nginx_reload(rig: Rig, _: Sequence[Member], fault: Planned, hit: Hit) -> None:
    rig.nginx.reload()


# --- clients


async def _stalled_readers(_: Rig, members: Sequence[Member], fault: Planned, hit: Hit) -> None:
    """A tenth of all clients read nothing for a while."""
    stalled = members[fault.place :: 10]
    for member in stalled:
        member.reads.clear()
    try:
        await asyncio.sleep(fault.duration_s)
    finally:
        for member in stalled:
            member.reads.set()


async def _storm(rig: Rig, _: Sequence[Member], fault: Planned, hit: Hit) -> None:
    for place in rig.places:
        place.front.reset()


_ACTS: dict[Kind, Act] = {
    Kind.KILL: _kill,
    Kind.CRASH_BEFORE_COMMIT: _crash(CrashPoint.BEFORE_COMMIT),
    Kind.CRASH_DURING_COMMIT: _crash(CrashPoint.DURING_COMMIT),
    Kind.CRASH_AFTER_COMMIT: _crash(CrashPoint.AFTER_COMMIT),
    Kind.CRASH_AFTER_PUBLISH: _crash(CrashPoint.AFTER_PUBLISH),
    Kind.CRASH_AFTER_ACK: _crash(CrashPoint.AFTER_ACK),
    Kind.CLOCK_SKEW: _clock_skew,
    Kind.PAUSE_GATEWAY: _pause_gateway,
    Kind.ROLLING_RESTART: _rolling_restart,
    Kind.REDIS_RESTART: _redis_restart,
    Kind.REDIS_FLUSH: _redis_command("FLUSHALL"),
    Kind.REDIS_PAUSE: _redis_pause,
    Kind.REDIS_KILL_PUBSUB: _redis_command("CLIENT", "KILL", "TYPE", "pubsub"),
    Kind.REDIS_BLACKHOLE: _on_link(_redis_link, Link.stall),
    Kind.REDIS_DEAF: _on_link(_redis_link, _deafen),
    Kind.REDIS_MUTE: _on_link(_redis_link, _mute),
    Kind.REDIS_FAILOVER: _redis_failover,
    Kind.REDIS_SLOW: _on_link(_redis_link, _slow_down),
    Kind.REDIS_RESET: _on_link(_redis_link, Link.reset),
    Kind.POSTGRES_RESTART: _postgres_restart,
    Kind.POSTGRES_PAUSE: _postgres_pause,
    Kind.POSTGRES_TERMINATE: _postgres_terminate,
    Kind.POSTGRES_LOCKS: _postgres_lock(_LOCK_CHATS),
    Kind.POSTGRES_TABLE_LOCK: _postgres_lock(_LOCK_MEMBERSHIPS),
    Kind.POSTGRES_BLACKHOLE: _on_link(_postgres_link, Link.stall),
    Kind.POSTGRES_DEAF: _on_link(_postgres_link, _deafen),
    Kind.POSTGRES_SLOW: _on_link(_postgres_link, _slow_down),
    Kind.POSTGRES_RESET: _on_link(_postgres_link, Link.reset),
    Kind.NGINX_RELOAD: _nginx_reload,
    Kind.CLIENTS_RESET: _on_link(_front, Link.reset),
    Kind.CLIENTS_BLACKHOLE: _on_link(_front, Link.stall),
    Kind.CLIENTS_DEAF: _on_link(_front, _deafen),
    Kind.CLIENTS_SLOW: _on_link(_front, _throttle),
    Kind.STALLED_READERS: _stalled_readers,
    Kind.STORM: _storm,
}
