"""Monitors a run from outside: metrics of the nodes, and the recovery time after each fault."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from tests.faults.act import TooLate
from tests.faults.people import Sender
from tests.faults.rig import Rig
from tests.faults.schedule import Kind
from tests.faults.sockets import Socket
from tests.faults.world import World

TICK_S = 0.1
SCRAPE_S = 1.0
PATIENCE_S = 1.0
"""Somebody who waits longer than this for an answer is not well."""
_COUNTERS = {
    "found": re.compile(rb"^chat_gateway_gaps_total ([0-9.e+]+)$", re.M),
    "repaired": re.compile(rb"^chat_gateway_gap_events_repaired_total ([0-9.e+]+)$", re.M),
}


@dataclass
class Struck:
    """A fault as it came about, in seconds after the start."""

    kind: Kind
    place: int
    began: float
    healed: float | None = None
    recovered: float | None = None
    """Since when everybody was connected, up to date and answered: perhaps long before it was healed."""
    well: float | None = None
    """When this was so after it was healed; from then on it is over."""
    noticed: float | None = None
    """When the node that it befell showed that it knew, where that is asked."""


@dataclass
class Note:
    """Meets `act.Blow`."""

    struck: Struck
    world: World
    _has_struck: bool = False

    def hit(self) -> None:
        """See `Blow`."""
        if not self._has_struck and not self.world.is_writing:
            raise TooLate
        self._has_struck = True
        self.struck.began, self.struck.recovered = self.world.now, None

    def noticed(self) -> None:
        """See `Blow`."""
        self.struck.noticed = self.world.now


@dataclass
class Observer:
    """`gaps` is what the nodes have counted so far, by time: (seconds, found, repaired)."""

    rig: Rig
    world: World
    sockets: Sequence[Socket]
    senders: Sequence[Sender]
    struck: list[Struck] = field(default_factory=list)
    gaps: list[tuple[float, float, float]] = field(default_factory=list)
    _last: dict[tuple[int, str], float] = field(default_factory=dict)
    _total: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_COUNTERS, 0.0))

    async def watch_wellness(self) -> None:
        """For ever: note who has recovered from what."""
        while True:
            acked = dict(self.world.acked_seq)
            await asyncio.sleep(TICK_S)
            now, is_well = self.world.now, self.is_well(acked)
            for struck in self.struck:
                if struck.well is None:
                    struck.recovered = (struck.recovered or now) if is_well else None
                    if struck.healed is not None:
                        struck.well = struck.recovered and now

    def is_well(self, acked: dict[int, int]) -> bool:
        """Whether all are connected, have what was acknowledged a moment ago, and wait for no answer."""
        late = self.world.now - PATIENCE_S
        return all(socket.is_live and socket.seq >= acked.get(socket.chat, 0) for socket in self.sockets) and not any(
            sender.under_way and sender.since < late for sender in self.senders
        )

    async def watch_metrics(self) -> None:
        """For ever: add up what the nodes count, across their restarts."""
        async with httpx.AsyncClient(timeout=SCRAPE_S) as http:
            while True:
                await asyncio.gather(*(self._scrape(http, place.number) for place in self.rig.places))
                self.gaps.append((self.world.now, self._total["found"], self._total["repaired"]))
                await asyncio.sleep(SCRAPE_S)

    async def _scrape(self, http: httpx.AsyncClient, number: int) -> None:
        try:
            answer = await http.get(f"http://127.0.0.1:{self.rig.places[number].node.port}/metrics")
        except httpx.TransportError:
            return
        for name, pattern in _COUNTERS.items():
            found = pattern.search(answer.content)
            if found is not None:
                count, before = float(found[1]), self._last.get((number, name), 0.0)
                self._total[name] += count - before if count >= before else count
                self._last[number, name] = count
