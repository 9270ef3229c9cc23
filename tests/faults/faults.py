"""The faults: each starts, lasts, and is healed when its function returns."""

import asyncio
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from tests.faults.act import Act, Blow
from tests.faults.crash_points import CrashPoint
from tests.faults.faults_redis import REDIS_ACTS, lose_redis
from tests.faults.faults_stores import STORE_ACTS
from tests.faults.links import Link
from tests.faults.outage import hold_still
from tests.faults.rig import Place, Rig, in_thread
from tests.faults.schedule import Kind, Planned
from tests.faults.servers import find_faketime
from tests.faults.sockets import Socket

CRASH_WITHIN_S = 5.0
"""A node that has not come past the crash point by then is killed where it is."""
EXIT_S = 12.0
"""A node that got SIGTERM has ended by then: DRAIN_DELAY_S + DRAIN_S plus a few seconds of uvicorn."""
SLOW_S = 0.15
SLOW_BYTES_PER_S = 20_000.0

CLOCK_S = 300.0


def possible_kinds() -> Sequence[Kind]:
    """What this machine has the means for."""
    return [kind for kind in Kind if kind is not Kind.CLOCK_SKEW or find_faketime() is not None]


async def strike(rig: Rig, sockets: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    """Do it, wait, and heal it."""
    await _ACTS[fault.kind](rig, sockets, fault, blow)


# --- gateways


async def _kill(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    place = rig.places[fault.place]
    async with place.lock:
        blow.hit()
        await in_thread(place.node.kill)
        await asyncio.sleep(fault.duration_s / 4)
        await place.start()


def _crash(point: CrashPoint) -> Act:
    async def act(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
        place = rig.places[fault.place]
        async with place.lock:
            blow.hit()
            place.node.order_crash(point, fault.number)
            with suppress(subprocess.TimeoutExpired):
                await in_thread(lambda: place.node.wait(CRASH_WITHIN_S))
            await in_thread(place.node.kill)
            blow.hit()
            await asyncio.sleep(fault.duration_s / 4)
            await place.start()

    return act


async def _clock_skew(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    """Run a node with another time; Redis goes away meanwhile, so that the node has to go by its own clock."""
    place = rig.places[fault.place]
    offset_s = CLOCK_S if fault.number % 2 else -CLOCK_S
    async with place.lock:
        blow.hit()
        place.node.set_clock(offset_s)
        await _restart_politely(place)
        if abs(await in_thread(place.node.clock) - time.time() - offset_s) > CLOCK_S / 10:
            raise AssertionError("the node's clock is not the one that it was given")
        async with rig.redis_lock:
            await lose_redis(rig, fault.duration_s)
        place.node.set_clock(0)
        await in_thread(place.node.kill)
        await place.start()


async def _pause_gateway(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    place = rig.places[fault.place]
    async with place.lock:
        blow.hit()
        await hold_still(place.node, fault.duration_s)


async def _lose_publications(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    place = rig.places[fault.place]
    async with place.lock:
        blow.hit()
        place.node.switch_losses()
        try:
            await asyncio.sleep(fault.duration_s)
        finally:
            place.node.switch_losses()


async def _rolling_restart(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    blow.hit()
    for place in rig.places:
        async with place.lock:
            await _restart_politely(place)


async def _restart_politely(place: Place) -> None:
    place.node.terminate()
    try:
        status = await in_thread(lambda: place.node.wait(EXIT_S))
        if status != 0:
            raise AssertionError(f"a node that got SIGTERM ended with {status}")
    finally:
        await in_thread(place.node.kill)
        await place.start()


# --- links


def _on_link(choose: Callable[[Place], Sequence[Link]], spoil: Callable[[Link], None]) -> Act:
    async def act(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
        links = choose(rig.places[fault.place])
        for link in links:
            spoil(link)
        try:
            await asyncio.sleep(fault.duration_s)
        finally:
            for link in links:
                link.heal()

    return act


def _front(place: Place) -> Sequence[Link]:
    return (place.front,)


def _redis_links(place: Place) -> Sequence[Link]:
    return place.redis


def _postgres_link(place: Place) -> Sequence[Link]:
    return (place.postgres,)


def _queue_link(place: Place) -> Sequence[Link]:
    return (place.rabbitmq,)


def _deafen(link: Link) -> None:
    link.stall(link.downward)


def _mute(link: Link) -> None:
    link.stall(link.upward)


def _slow_down(link: Link) -> None:
    link.delay(SLOW_S)


def _throttle(link: Link) -> None:
    link.throttle(SLOW_BYTES_PER_S)


async def _nginx_reload(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    rig.nginx.reload()


# --- clients


async def _stalled_readers(_: Rig, sockets: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    """A tenth of all clients read nothing for a while."""
    stalled = sockets[fault.place :: 10]
    for member in stalled:
        member.reads.clear()
    try:
        await asyncio.sleep(fault.duration_s)
    finally:
        for member in stalled:
            member.reads.set()


async def _storm(rig: Rig, _: Sequence[Socket], fault: Planned, blow: Blow) -> None:
    for place in rig.places:
        place.front.reset()


_ACTS: dict[Kind, Act] = {
    **REDIS_ACTS,
    **STORE_ACTS,
    Kind.KILL: _kill,
    Kind.CRASH_BEFORE_COMMIT: _crash(CrashPoint.BEFORE_COMMIT),
    Kind.CRASH_DURING_COMMIT: _crash(CrashPoint.DURING_COMMIT),
    Kind.CRASH_AFTER_COMMIT: _crash(CrashPoint.AFTER_COMMIT),
    Kind.CRASH_AFTER_PUBLISH: _crash(CrashPoint.AFTER_PUBLISH),
    Kind.CRASH_AFTER_ACK: _crash(CrashPoint.AFTER_ACK),
    Kind.CLOCK_SKEW: _clock_skew,
    Kind.PAUSE_GATEWAY: _pause_gateway,
    Kind.LOST_PUBLICATIONS: _lose_publications,
    Kind.ROLLING_RESTART: _rolling_restart,
    Kind.REDIS_BLACKHOLE: _on_link(_redis_links, Link.stall),
    Kind.REDIS_DEAF: _on_link(_redis_links, _deafen),
    Kind.REDIS_MUTE: _on_link(_redis_links, _mute),
    Kind.REDIS_SLOW: _on_link(_redis_links, _slow_down),
    Kind.REDIS_RESET: _on_link(_redis_links, Link.reset),
    Kind.POSTGRES_BLACKHOLE: _on_link(_postgres_link, Link.stall),
    Kind.POSTGRES_DEAF: _on_link(_postgres_link, _deafen),
    Kind.POSTGRES_SLOW: _on_link(_postgres_link, _slow_down),
    Kind.POSTGRES_RESET: _on_link(_postgres_link, Link.reset),
    Kind.QUEUE_BLACKHOLE: _on_link(_queue_link, Link.stall),
    Kind.QUEUE_RESET: _on_link(_queue_link, Link.reset),
    Kind.NGINX_RELOAD: _nginx_reload,
    Kind.CLIENTS_RESET: _on_link(_front, Link.reset),
    Kind.CLIENTS_BLACKHOLE: _on_link(_front, Link.stall),
    Kind.CLIENTS_DEAF: _on_link(_front, _deafen),
    Kind.CLIENTS_SLOW: _on_link(_front, _throttle),
    Kind.STALLED_READERS: _stalled_readers,
    Kind.STORM: _storm,
}
