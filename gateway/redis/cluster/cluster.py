"""A Redis Cluster: its slot map, its masters, and routing of commands by key. Implements `CommandExecutor`.

Invariants: one task reads the map, however many callers find it stale, and pauses between reads; a master that replied
MOVED is queried first, because its map is newer; a slot's channels are subscribed again whenever its master changes,
followed by a position check; a command that a master rejected because of its slot is sent again for STALE_S.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

import hiredis

from gateway.config.redis_url import ClusterUrl
from gateway.errors import RedisRefused, RedisUnavailable
from gateway.interfaces.broker import BrokerListener
from gateway.redis.cluster.master import Astray, Master
from gateway.redis.cluster.slot_map import SLOTS, SlotRange, ask_once, read_map, slot_of
from gateway.redis.connection.command_client import CALL_S, OnResult, Script, report
from gateway.redis.connection.connection import pack, refusal_of
from gateway.redis.connection.events import RedisEvents
from gateway.redis.namespace import Namespace
from gateway.redis.pubsub.broker import STALE_S
from gateway.redis.pubsub.subscriber import PROBE_INTERVAL_S, SHARDED
from gateway.tasks import Tasks, full_jitter

POLL_S = 0.5
"""How often to read the map while a master is unavailable and its replica may be promoted."""
IDLE_S = 30.0
"""How often to read the map while all is well."""
REDIRECTIONS = 3
MAX_REFUSED = 10_000
MAX_ASKING = 100
_DOWN = frozenset({"CLUSTERDOWN", "MASTERDOWN", "LOADING"})

logger = logging.getLogger("gateway.redis")

Owners = Sequence[Master | None]
"""By slot."""


class Cluster:
    """`run` is its owner task. `on_moved(slots, owners before)` is called for slots with another master, or none."""

    def __init__(
        self,
        url: ClusterUrl,
        names: Namespace,
        node_id: str,
        events: Callable[[int], RedisEvents],
        on_moved: Callable[[Collection[int], Owners], None],
        *,
        probe_interval_s: float = PROBE_INTERVAL_S,
    ) -> None:
        self._url = url
        self._names = names
        self._node_id = node_id
        self._events = events
        self._on_moved = on_moved
        self._probe_interval_s = probe_interval_s
        self._listener: BrokerListener | None = None
        self._on_restored: Callable[[], None] = lambda: None
        self._masters: dict[str, Master] = {}
        self.owners: Owners = [None] * SLOTS
        self.connected = asyncio.Event()
        """Set once all masters have been connected, or after a timeout."""
        self._is_covered = False
        """Whether every slot has a master."""
        self._map_refusal = ""
        """Why no server returns the map, if the reason is the password or rights."""
        self._is_stale = asyncio.Event()
        self._knows_better = ""
        self._was_read = asyncio.Event()
        """Set when the map has next been read."""
        self._astray: set[int] = set()
        self._refused: deque[Astray] = deque(maxlen=MAX_REFUSED)
        self._tasks = Tasks(events(0).task_failed)
        self._scripts = Tasks()

    @property
    def masters(self) -> Collection[Master]:
        """The masters that have slots."""
        return self._masters.values()

    @property
    def refusal(self) -> str:
        """Why a server rejects the password or rights; empty if none does."""
        return next((master.refusal for master in self.masters if master.refusal), self._map_refusal)

    @property
    def is_up(self) -> bool:
        """Whether every slot is served."""
        return self._is_covered and all(master.is_up for master in self.masters)

    def start(self, listener: BrokerListener, on_restored: Callable[[], None]) -> None:
        """Start notifying `listener`; call `on_restored` when keys of a master may have been lost."""
        self._listener, self._on_restored = listener, on_restored
        for master in self.masters:
            master.start(listener)

    async def close(self) -> None:
        """Close all connections."""
        await self._scripts.close()
        await self._tasks.close()
        await asyncio.gather(*(master.close() for master in self.masters))

    # --- commands

    def send(self, *words: str | bytes | int) -> bool:
        """Implement `CommandExecutor.send`."""
        owner = self.owners[_slot(words[1])]
        return owner is not None and owner.send(*words)

    async def call(self, *words: str | bytes | int) -> Any:
        """Implement `CommandExecutor.call`."""
        return await self._call(_slot(words[1]), words)

    async def run_script(self, script: Script, key: str, *arguments: str | bytes | int) -> Any:
        """Implement `CommandExecutor.run_script`."""
        slot = _slot(key)

        async def call(*words: str | bytes | int) -> Any:
            return await self._call(slot, words)

        return await script.run(call, key, *arguments)

    def start_script(self, script: Script, on_result: OnResult, key: str, *arguments: str | bytes | int) -> None:
        """Implement `CommandExecutor.start_script`: in a task, since a redirection may have to be awaited."""
        self._scripts.spawn(self._run_script(script, on_result, key, *arguments), "redis script")

    async def _run_script(self, script: Script, on_result: OnResult, key: str, *arguments: str | bytes | int) -> None:
        result: Any = RedisUnavailable()
        try:
            result = await self.run_script(script, key, *arguments)
        except RedisUnavailable as error:
            result = error
        finally:  # also of one that fails otherwise: a session waits for it
            report(on_result, result)

    async def _call(self, slot: int, words: tuple[str | bytes | int, ...]) -> Any:
        for _ in range(REDIRECTIONS):
            owner = self.owners[slot]
            if owner is None:
                self._mark_stale()
                raise RedisUnavailable
            try:
                return await owner.link.call(*words)
            except RedisRefused as refused:
                if refused.code == "ASK":
                    return await self._ask(str(refused), words)
                owner.is_refusing |= refused.code in _DOWN
                if refused.code != "MOVED":
                    raise
            was_read = self._was_read
            self._mark_stale(owner)
            try:
                async with asyncio.timeout(CALL_S):
                    await was_read.wait()
            except TimeoutError:
                break
        raise RedisUnavailable

    async def _ask(self, redirection: str, words: tuple[str | bytes | int, ...]) -> Any:
        """The reply of the master to which a key is migrating (`ASK slot host:port`)."""
        url = self._url.node(redirection.split(" ")[2])
        _, reply = await ask_once(url, pack("ASKING"), pack(*words))
        if isinstance(reply, hiredis.ReplyError):
            raise RedisRefused(str(reply))
        return reply

    # --- notifications from masters

    def on_turn(self, master: Master, is_up: bool) -> None:
        """Implement `MasterListener.on_turn`."""
        if is_up:
            self._on_restored()
            if self._refused:
                self._mark_stale()  # the waiting commands are sent when the map has been read
            if all(master.link.is_up for master in self.masters):
                self.connected.set()
        else:
            self._mark_stale()

    def on_astray(self, master: Master, slot: int) -> None:
        """Implement `MasterListener.on_astray`."""
        self._astray.add(slot)
        self._mark_stale(master)

    def on_refused(self, master: Master, error: str, command: Astray) -> None:
        """Implement `MasterListener.on_refused`."""
        code = error.partition(" ")[0]
        if code == "ASK" and len(self._tasks) < MAX_ASKING:
            self._tasks.spawn(self._send_asking(error, command), "redis asking")
        elif code == "MOVED":
            self._keep(command)
            self._mark_stale(master)
        elif code in _DOWN:
            master.is_refusing = True
            self._mark_stale()

    async def _send_asking(self, redirection: str, command: Astray) -> None:
        try:
            await self._ask(redirection, command.words)
        except RedisUnavailable:
            return  # lost, as when a connection breaks

    # --- the map

    def _mark_stale(self, knows_better: Master | None = None) -> None:
        if knows_better is not None:
            self._knows_better = knows_better.address
        self._is_stale.set()

    async def run(self) -> None:
        """Keep the map up to date until cancelled."""
        attempt = 0
        while True:
            was_stale = self._is_stale.is_set()
            self._is_stale.clear()
            try:
                has_moved = self._apply(await self._read())
            except RedisUnavailable:
                attempt += 1
            else:
                attempt = attempt + 1 if was_stale and not has_moved else 0
            await asyncio.sleep(full_jitter(attempt))
            try:
                async with asyncio.timeout(IDLE_S if self.is_up and not self._refused else POLL_S):
                    await self._is_stale.wait()
            except TimeoutError:
                if self._masters:
                    self.connected.set()

    async def _read(self) -> list[SlotRange]:
        """The map of the first server that returns one.

        Raises: RedisUnavailable.
        """
        linked = [master for master in self.masters if master.link.is_up]
        random.shuffle(linked)
        linked.sort(key=lambda master: master.address != self._knows_better)
        self._knows_better = ""
        for master in linked:
            with suppress(RedisUnavailable, ValueError):
                return read_map(await master.link.call("CLUSTER", "SLOTS"), master.address)
        refusal = ""
        for host in random.sample(self._url.hosts, len(self._url.hosts)):
            try:
                (reply,) = await ask_once(self._url.node(host), pack("CLUSTER", "SLOTS"))
                return read_map(reply, host)
            except RedisRefused as refused:
                if (reason := refusal_of(str(refused))) != "":
                    refusal = reason
                    self._note_refusal(host, str(refused))
            except (RedisUnavailable, ValueError):
                continue
        self._map_refusal = refusal
        raise RedisUnavailable

    def _note_refusal(self, host: str, error: str) -> None:
        if not self._map_refusal:
            logger.error("redis_access_refused", extra={"fields": {"error": error, "redis": host}})

    def _apply(self, ranges: Sequence[SlotRange]) -> bool:
        """Apply a map; return whether a slot has moved."""
        self._map_refusal = ""
        before, owners = self.owners, list[Master | None]([None] * SLOTS)
        masters: dict[str, Master] = {}
        for slots in sorted(ranges, key=lambda slots: slots.first):
            known = masters.get(slots.master) or self._masters.get(slots.master)
            master = masters[slots.master] = known or self._open(slots.master, len(masters))
            owners[slots.first : slots.last + 1] = [master] * (slots.last + 1 - slots.first)
        gone = [master for address, master in self._masters.items() if address not in masters]
        moved = {slot for slot in range(SLOTS) if owners[slot] is not before[slot]}
        self._masters, self.owners, self._is_covered = masters, owners, None not in owners
        astray, self._astray = self._astray, set()
        self._on_moved(moved | astray, before)
        for master in masters.values():
            self._let_probe(master)
        for master in gone:
            for channel, payload in master.publisher.take_all():
                self.publish(channel, payload)
            self._tasks.spawn(master.close(), "redis master closing")
        self._send_again()
        was_read, self._was_read = self._was_read, asyncio.Event()
        was_read.set()
        return bool(moved)

    def _open(self, address: str, shard: int) -> Master:
        master = Master(
            address,
            self._url.node(address),
            self._names,
            self._events(shard),
            self,
            probe_interval_s=self._probe_interval_s,
        )
        if self._listener is not None:
            master.start(self._listener)
        return master

    def _let_probe(self, master: Master) -> None:
        """Choose a probe channel in one of the master's own slots."""
        now = master.subscription.probe_channel
        if now is not None and self.owners[slot_of(now)] is master:
            return
        candidates = (b"%s%s:%d" % (self._names.probe, self._node_id.encode(), number) for number in count())
        master.subscription.probe_by(next(name for name in candidates if self.owners[slot_of(name)] is master))

    def _send_again(self) -> None:
        refused, self._refused = self._refused, deque(maxlen=MAX_REFUSED)
        now = asyncio.get_running_loop().time()
        for command in refused:
            owner = self.owners[_slot(command.words[1])]
            if now - command.sent_at > STALE_S:
                self._events(0).happened("publish_dropped")
            elif owner is None or not owner.send_again(command):
                self._refused.append(command)

    def publish(self, channel: bytes, payload: bytes) -> None:
        """Publish at the master of the channel's slot, or queue for STALE_S while there is none. Never blocks."""
        owner = self.owners[slot_of(channel)]
        if owner is None:
            self._keep(Astray((SHARDED.publish, channel, payload), asyncio.get_running_loop().time()))
        else:
            owner.publisher.publish(channel, payload)

    def _keep(self, command: Astray) -> None:
        if len(self._refused) == MAX_REFUSED:
            self._events(0).happened("publish_dropped")
        self._refused.append(command)


def _slot(key: str | bytes | int) -> int:
    return slot_of(key if isinstance(key, bytes) else str(key).encode())
