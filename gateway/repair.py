"""Keeps every local chat at the database's position (invariant 5).

A hole in what Redis brought, a broken subscription, and, as nothing else shows a lost *last* publication, the passing
of time: each means "compare with the store". The store is asked, never Redis, which would share the fault.

A position means nothing in another history (delivery.md 8): when the store's epoch changes, every chat starts anew.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection

from gateway.chat_log import ChatLog
from gateway.hub import Hub, LocalChat
from gateway.tasks import Tasks
from storage.errors import StorageUnavailable
from storage.records import ChatPosition, Positions

logger = logging.getLogger("gateway.repair")

PAGE = 500
CHATS_A_QUERY = 1000
INTERVAL_S = 4.0
HOLD_S = 0.02
"""How long a hole may be mere disorder between nodes before it is read (measured: false gaps ≤ 1.1 %)."""


class Repair:
    """Finds and mends holes, one read at a time per chat.

    `on_members_changed(chat_ids)` is awaited when a check finds that chats' members moved since the last one.
    `on_gap(events)` counts repairs: 0 when a gap is found, then the number of events that were read for it.
    `on_checked(answered)` hears of every check whether the store answered. `interval_s` is asked before each check.
    `epoch` is the store's at the start, and then what the last check or follower has heard.
    """

    def __init__(
        self,
        hub: Hub,
        log: ChatLog,
        tasks: Tasks,
        epoch: str,
        *,
        on_members_changed: Callable[[Collection[int]], Awaitable[None]],
        on_gap: Callable[[int], None] = lambda _: None,
        on_checked: Callable[[bool], None] = lambda _: None,
        interval_s: Callable[[], float] = lambda: INTERVAL_S,
    ) -> None:
        self._hub = hub
        self._log = log
        self._tasks = tasks
        self._on_members_changed = on_members_changed
        self._on_gap = on_gap
        self._on_checked = on_checked
        self._interval_s = interval_s
        self._repairing: set[int] = set()
        self._members_versions: dict[int, int] = {}
        self._reaching: dict[int, asyncio.Future[StorageUnavailable | None]] = {}
        """By chat: a read that sessions wait for, and what became of it."""
        self._wake = asyncio.Event()
        self.epoch = epoch

    def look(self, local: LocalChat) -> None:
        """Call after feeding a chat: a hole that does not close by itself within `HOLD_S` is read from the store."""
        if local.timeline.has_gap and local.chat_id not in self._repairing:
            self._repairing.add(local.chat_id)
            self._tasks.spawn(self._mend_later(local), f"repair chat {local.chat_id}")

    def count_unrepaired(self) -> int:
        """How many chats have a hole that nobody is at work on, as reading it failed; looks at each, so not often."""
        return sum(local.timeline.has_gap and local.chat_id not in self._repairing for local in self._hub.chats())

    def check_soon(self) -> None:
        """Something may have been missed in every chat: check all positions now."""
        self._wake.set()

    async def _mend_later(self, local: LocalChat) -> None:
        try:
            await asyncio.sleep(HOLD_S)
            if local.timeline.has_gap:
                await self.mend(local)
        except StorageUnavailable:
            logger.warning("repair_postponed", extra={"fields": {"chat_id": local.chat_id}})
        finally:
            self._repairing.discard(local.chat_id)

    async def mend(self, local: LocalChat) -> None:
        """Read what the chat's timeline lacks until it has all that the store has.

        Raises: StorageUnavailable.
        """
        self._on_gap(0)
        while True:
            events = await self._log.events_after(local.chat_id, local.timeline.last_seq, PAGE)
            missing = [event for event in events if event.seq > local.timeline.last_seq]
            self._on_gap(len(missing))
            self._hub.feed(local, missing)
            if len(events) < PAGE:
                return

    async def reach(self, local: LocalChat, seq: int) -> None:
        """Return once the chat stands at `seq` here, or the store says that it does not; who ask at once share a read.

        When a node dies, all of its clients may know an event that it could not publish any more.
        Raises: StorageUnavailable.
        """
        for _ in range(2):  # a read that others had begun may be older than the event
            if local.timeline.last_seq >= seq:
                return
            reading = self._reaching.get(local.chat_id)
            is_joined = reading is not None
            if reading is None:
                reading = self._reaching[local.chat_id] = asyncio.get_running_loop().create_future()
                self._tasks.spawn(self._reach(local, reading), f"reach chat {local.chat_id}")
            error = await asyncio.shield(reading)
            if error is not None:
                raise StorageUnavailable(str(error))
            if not is_joined:
                return

    async def _reach(self, local: LocalChat, reading: "asyncio.Future[StorageUnavailable | None]") -> None:
        outcome: StorageUnavailable | None = StorageUnavailable("the read was cut off")
        try:
            await self.mend(local)
            outcome = None
        except StorageUnavailable as error:
            outcome = error
        finally:
            del self._reaching[local.chat_id]
            reading.set_result(outcome)

    async def run(self) -> None:
        """Check all positions for ever: every few seconds, with jitter, and at once after `check_soon`."""
        while True:
            try:
                async with asyncio.timeout(self._interval_s() * random.uniform(0.9, 1.0)):  # noqa: S311 - spreads load, guards nothing
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self.check()
            except StorageUnavailable:
                logger.warning("position_check_failed")
                self._on_checked(False)
            else:
                self._on_checked(True)

    async def check(self) -> None:
        """Compare every local chat with the store once.

        Raises: StorageUnavailable.
        """
        chats = [local for local in self._hub.chats() if local.timeline.is_started]
        known = {local.chat_id for local in chats}
        self._members_versions = {chat: version for chat, version in self._members_versions.items() if chat in known}
        for batch in _batches(chats) or [[]]:  # without chats, the empty question still shows that the store answers
            found = await self._log.positions([local.chat_id for local in batch])
            positions = found.chats
            self._note(found.epoch)
            for local in batch:
                await self._follow(local, found)
            behind = [(local, positions[local.chat_id]) for local in batch if _is_behind(local, positions)]
            if behind:
                # Most of these are not lost but still on their way from the node that committed them.
                await asyncio.sleep(HOLD_S)
            for local, position in behind:
                if local.timeline.last_seq < position.last_seq and local.chat_id not in self._repairing:
                    await self.mend(local)
            versions = {chat_id: position.members_version for chat_id, position in positions.items()}
            moved = dict(versions.items() - self._members_versions.items())
            if moved:
                await self._on_members_changed(moved)
                self._members_versions |= moved

    async def follow(self, local: LocalChat, epoch: str) -> None:
        """Return once the chat's position is of the history `epoch`, if that is the store's.

        Raises: StorageUnavailable, also if it is not.
        """
        if local.epoch != epoch:
            found = await self._log.positions([local.chat_id])
            self._note(found.epoch)
            await self._follow(local, found)
        if local.epoch != epoch:
            raise StorageUnavailable("another history has begun")

    def _note(self, epoch: str) -> None:
        if epoch != self.epoch:
            self.epoch = epoch
            logger.warning("epoch_changed", extra={"fields": {"epoch": epoch}})

    async def _follow(self, local: LocalChat, found: Positions) -> None:
        if local.epoch == found.epoch:
            return
        position = found.chats.get(local.chat_id)
        self._hub.restart(local, position.last_seq if position else 0, found.epoch)
        self._members_versions.pop(local.chat_id, None)
        if position is None:  # here, the chat has never been
            await self._on_members_changed([local.chat_id])


def _is_behind(local: LocalChat, positions: dict[int, ChatPosition]) -> bool:
    position = positions.get(local.chat_id)
    return position is not None and local.timeline.last_seq < position.last_seq


def _batches(chats: list[LocalChat]) -> list[list[LocalChat]]:
    return [chats[start : start + CHATS_A_QUERY] for start in range(0, len(chats), CHATS_A_QUERY)]
