"""One run: load, planned faults, healing, a quiet time, reading of the history by all clients, and the verdict."""

import asyncio
import random
import sys
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from tests.faults import aftermath
from tests.faults.act import TooLate
from tests.faults.ageing import age, keep_a_day
from tests.faults.checker import Violation, check
from tests.faults.faults import strike
from tests.faults.history import History, Oddity
from tests.faults.js_member import JsMember, JsMembers
from tests.faults.mutations import Mutation
from tests.faults.observer import Note, Observer, Struck
from tests.faults.people import Member, Poster, read_history
from tests.faults.python_member import PythonMember
from tests.faults.rig import Rig, User, run_rig
from tests.faults.rooms import Feeder, Listener, read_room
from tests.faults.schedule import Planned
from tests.faults.sockets import Socket
from tests.faults.world import World
from tests.node.js_client import node_process

CONNECTED_S = 60.0
"""By then everybody is connected for the first time."""
HTTP_S = 10.0
READERS = 20
"""At a time: everybody reads everything in the end."""
PROGRESS_S = 5.0


@dataclass(frozen=True)
class Load:
    """How many people do how much."""

    chats: int = 12
    members: int = 6
    """A chat's, all connected by WebSocket but the posters."""
    writers: int = 3
    js: int = 1
    """So many of the writers use the JavaScript client."""
    python: int = 1
    """So many of the writers use the Python client."""
    posters: int = 1
    rooms: int = 2
    """Each with two guests, and two who feed it: one by AMQP, one over HTTP."""
    rate: float = 30.0
    """Messages a second, over all senders, when nothing is wrong."""


FULL = Load(chats=30, members=8, rooms=3, rate=85.0)
"""So many that ten minutes of faults leave more than 30,000 acknowledged."""


@dataclass(frozen=True)
class Calm:
    """How a run ends."""

    within_s: float = 30.0
    """So long after the last fault everybody must be well again, at the latest."""
    quiet_s: float = 6.0
    """Then nothing happens, for longer than any position check takes."""


DEFAULT_CALM = Calm()


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    seed: int
    history: History
    struck: Sequence[Struck]
    gaps: Sequence[tuple[float, float, float]]
    violations: Sequence[Violation]
    duration_s: float


async def run(
    folder: Path,
    faults: Sequence[Planned],
    *,
    writing_s: float,
    load: Load,
    seed: int,
    mutation: Mutation | None = None,
    calm: Calm = Calm(),
) -> Outcome:
    """Carry the plan out in `folder`; its times, and `writing_s`, count from when everybody is connected."""
    async with AsyncExitStack() as stack:
        rig = await stack.enter_async_context(run_rig(folder, mutation))
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=HTTP_S, limits=limits))
        chats = await rig.populate(load.chats, load.members)
        ageing = next(iter(chats))
        await keep_a_day(rig, ageing)
        rooms = await rig.furnish(load.rooms)
        pause_s = (load.chats * (load.writers + load.posters) + load.rooms * 2) / load.rate
        world = World(rig.nginx.url, History(), random.Random(seed), pause_s)
        clients = JsMembers()
        clients.process = await stack.enter_async_context(node_process(clients.take))
        members, posters = _cast(world, chats, load, http, clients)
        guests = [Listener(world, room, number) for room in rooms for number in (0, 1)]
        feeders = [Feeder(world, room, http, amqp_url=url) for room in rooms for url in ("", rig.rabbitmq.url)]
        sockets: list[Socket] = [*members, *guests]
        senders = [*(member.sender for member in members), *(poster.sender for poster in posters)]
        observer = Observer(rig, world, sockets, senders)
        crew = await stack.enter_async_context(_Crew())
        for work in (*(s.run() for s in sockets), *(p.run() for p in posters), *(f.run() for f in feeders)):
            crew.start(work)
        crew.start(observer.watch_wellness())
        crew.start(observer.watch_metrics())
        crew.start(age(world, rig, ageing))
        crew.start(_show_progress(world, observer))
        await _all_connect(sockets)
        began = world.now
        strikes = [asyncio.create_task(_strike(rig, observer, replace(fault, at=began + fault.at))) for fault in faults]
        await asyncio.sleep(writing_s)
        world.is_writing = False
        await asyncio.gather(*strikes)
        await _come_to_rest(world, observer, calm)
        if mutation is None:
            await aftermath.look(world, rig, members, http)
        duration_s = world.now
        world.over.set()
        for socket in sockets:
            socket.finish()
        turns = asyncio.Semaphore(READERS)

        async def read(chat: int, user: User) -> None:
            async with turns:
                await read_history(world, http, chat, user)

        await asyncio.gather(
            *(read(chat, user) for chat, users in chats.items() for user in users),
            *(read_room(world, room) for room in rooms),
        )
    return Outcome(seed, world.history, observer.struck, observer.gaps, check(world.history), duration_s)


def _cast(
    world: World, chats: dict[int, list[User]], load: Load, http: httpx.AsyncClient, clients: JsMembers
) -> tuple[list[Member], list[Poster]]:
    members: list[Member] = []
    posters: list[Poster] = []
    for chat, users in chats.items():
        for number, user in enumerate(users):
            if number < load.posters:
                posters.append(Poster(world, chat, user, http))
            elif number < load.posters + load.js:
                members.append(JsMember(world, chat, user, clients, by_stream=chat % 2 == 0))
            elif number < load.posters + load.js + load.python:
                members.append(PythonMember(world, chat, user))
            else:
                members.append(Member(world, chat, user, writes=number < load.posters + load.writers))
    return members, posters


async def _strike(rig: Rig, observer: Observer, fault: Planned) -> None:
    world = observer.world
    await asyncio.sleep(fault.at - world.now)
    struck = Struck(fault.kind, fault.place, world.now)
    observer.struck.append(struck)
    try:
        await strike(rig, observer.sockets, fault, Note(struck, world))
    except TooLate:
        observer.struck.remove(struck)
    except Exception as error:
        world.history.oddities.append(Oddity(world.now, 0, fault.kind, f"{type(error).__name__}: {error}"))
    struck.healed = world.now


async def _all_connect(sockets: Sequence[Socket]) -> None:
    """On a busy machine the first faults would otherwise strike before any client is connected."""
    async with asyncio.timeout(CONNECTED_S):
        while not all(socket.is_live for socket in sockets):
            await asyncio.sleep(0.05)


async def _come_to_rest(world: World, observer: Observer, calm: Calm) -> None:
    """Wait until all is well, and then some; what is not well by then is for the checker."""
    deadline = world.now + calm.within_s
    while world.now < deadline and not observer.is_well(world.acked_seq):
        await asyncio.sleep(0.1)
    await asyncio.sleep(calm.quiet_s)


async def _show_progress(world: World, observer: Observer) -> None:
    while True:
        await asyncio.sleep(PROGRESS_S)
        away = sum(not socket.is_live for socket in observer.sockets)
        acked, struck = len(world.history.acks), len(observer.struck)
        sys.stderr.write(f"\r{world.now:6.0f} s  {acked:7,} acked  {struck:3} faults  {away:4} clients away ")
        sys.stderr.flush()


class _Crew:
    """Tasks of a run: cancelled when it is left, and a failure of any is a failure of the run."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it until the run ends."""
        self._tasks.append(asyncio.create_task(work))

    async def __aenter__(self) -> "_Crew":
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
