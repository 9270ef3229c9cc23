"""Keeps every local chat at the database's position (invariant 5).

A hole in the seqs that arrived from Redis and an interrupted subscription each cause a comparison with the store. So
does a periodic check, since nothing else detects a lost *last* publication. Missing events are read from the store,
never from Redis, which would share the fault.

With many chats open the check asks what has moved in the store since the last one, not where each chat stands: it costs
what has changed. Beside it, CHATS_A_QUERY chats are compared each time, so that all are in turn.

Retention removes the beginning of a log: a hole that reaches down from there is not repaired but skipped.

A position has no meaning in another epoch (delivery.md 8): when the store's epoch changes, every chat restarts.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from gateway.delivery.hub import Hub, LocalChat
from gateway.interfaces.chat_log import ChatLog
from gateway.tasks import Tasks
from storage.chat_records import Changes, Look
from storage.errors import StorageUnavailable
from storage.records import ChatPosition, Positions

logger = logging.getLogger("gateway.repair")

PAGE = 500
CHATS_A_QUERY = 1000
INTERVAL_S = 4.0
HOLD_S = 0.02
"""How long a hole may be due to reordering between nodes before it is read (measured: false gaps ≤ 1.1 %)."""


class Repair:
    """Finds and repairs holes, with one read at a time per chat.

    `on_members_changed(chat_ids)` is awaited when a check finds that members of chats changed since the last check,
    `on_chats_changed(chat_ids)` is called when it finds details that subscribers do not know.
    `on_gap(events)` counts repairs: 0 when a gap is found, then the number of events that were read for it.
    `on_checked(answered)` is called after every check: True if the store answered. `interval_s()` is the time until
    the next check. `epoch` is the store's epoch, as last read.
    """

    def __init__(
        self,
        hub: Hub,
        log: ChatLog,
        tasks: Tasks,
        epoch: str,
        *,
        on_members_changed: Callable[[Collection[int]], Awaitable[None]],
        on_chats_changed: Callable[[Collection[int]], None] = lambda _: None,
        on_gap: Callable[[int], None] = lambda _: None,
        on_checked: Callable[[bool], None] = lambda _: None,
        interval_s: Callable[[], float] = lambda: INTERVAL_S,
    ) -> None:
        self._hub = hub
        self._log = log
        self._tasks = tasks
        self._on_members_changed = on_members_changed
        self._on_chats_changed = on_chats_changed
        self._on_gap = on_gap
        self._on_checked = on_checked
        self._interval_s = interval_s
        self._repairing: set[int] = set()
        self._look: Look | None = None
        """Up to where this node knows what has moved in the store."""
        self._in_doubt: set[LocalChat] = set()
        """Chats that a check found behind, or whose repair failed, and that were not mended then."""
        self._turns: list[LocalChat] = []
        """Chats still to be compared in this round of all."""
        self._reads: dict[int, asyncio.Future[StorageUnavailable | None]] = {}
        """By chat: the outcome of a read that sessions wait for."""
        self._wake = asyncio.Event()
        self.epoch = epoch

    def schedule(self, local: LocalChat) -> None:
        """Call after `Hub.deliver`: a hole that does not close by itself within `HOLD_S` is read from the store."""
        if local.reorder_buffer.has_gap and local.chat_id not in self._repairing:
            self._repairing.add(local.chat_id)
            self._tasks.spawn(self._repair_later(local), f"repair chat {local.chat_id}")

    def count_unrepaired(self) -> int:
        """The number of chats with a hole and no running repair, since its read failed; O(chats), so call it rarely."""
        return sum(local.reorder_buffer.has_gap and local.chat_id not in self._repairing for local in self._hub.chats())

    def check_soon(self) -> None:
        """Check all positions now, as any chat may have missed events."""
        self._wake.set()

    async def _repair_later(self, local: LocalChat) -> None:
        try:
            await asyncio.sleep(HOLD_S)
            if local.reorder_buffer.has_gap:
                await self.mend(local)
        except StorageUnavailable:
            self._in_doubt.add(local)
            logger.warning("repair_postponed", extra={"fields": {"chat_id": local.chat_id}})
        finally:
            self._repairing.discard(local.chat_id)

    async def mend(self, local: LocalChat) -> None:
        """Read the events that the chat lacks from the store, page by page, until none is missing.

        Raises: StorageUnavailable.
        """
        self._on_gap(0)
        while True:
            epoch = local.epoch
            events = await self._log.events_after(local.chat_id, local.reorder_buffer.last_seq, PAGE)
            missing = [event for event in events if event.seq > local.reorder_buffer.last_seq]
            self._on_gap(len(missing))
            if missing and missing[0].seq > local.reorder_buffer.next_seq and local.epoch == epoch:
                self._hub.skip(local, missing[0].seq)  # a log has no other holes
            self._hub.deliver(local, missing)
            if len(events) < PAGE:
                return

    async def catch_up_to(self, local: LocalChat, seq: int) -> None:
        """Return once the chat is at `seq` here, or the store has no such event; concurrent callers share a read.

        When a node dies, all of its clients may know an event that the node had not published yet.
        Raises: StorageUnavailable.
        """
        for _ in range(2):  # a read that another caller started may be older than the event
            if local.reorder_buffer.last_seq >= seq:
                return
            read = self._reads.get(local.chat_id)
            is_joined = read is not None
            if read is None:
                read = self._reads[local.chat_id] = asyncio.get_running_loop().create_future()
                self._tasks.spawn(self._read_up(local, read), f"reach chat {local.chat_id}")
            error = await asyncio.shield(read)
            if error is not None:
                raise StorageUnavailable(str(error))
            if not is_joined:
                return

    async def _read_up(self, local: LocalChat, read: "asyncio.Future[StorageUnavailable | None]") -> None:
        outcome: StorageUnavailable | None = StorageUnavailable("the read was cut off")
        try:
            await self.mend(local)
            outcome = None
        except StorageUnavailable as error:
            outcome = error
        finally:
            del self._reads[local.chat_id]
            read.set_result(outcome)

    async def run(self) -> None:
        """Check all positions every few seconds, with jitter, and at once after `check_soon`; runs until cancelled."""
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
        """Compare the local chats with the store: those that may differ, or all, if they are few.

        Raises: StorageUnavailable.
        """
        chats = [local for local in self._hub.chats() if local.reorder_buffer.is_started]
        if len(chats) <= CHATS_A_QUERY:
            self._look = None
            await self._compare_all(chats)
            return
        changes = await self._log.changes(self._look, len(chats))  # more are as many rows as all chats
        if changes.is_complete and changes.epoch == self.epoch:
            await self._compare_moved(changes)
            await self._compare_some(chats)
        else:
            await self._compare_all(chats)
        self._look = changes.look

    async def _compare_moved(self, changes: Changes) -> None:
        positions: dict[int, ChatPosition] = {}
        moved: list[LocalChat] = []
        for chat_id in changes.last_seqs.keys() | changes.chats.keys():
            local = self._hub.chat(chat_id)
            if local is None or not local.reorder_buffer.is_started or local.epoch != changes.epoch:
                continue
            moved.append(local)
            positions[chat_id] = changes.chats.get(chat_id) or ChatPosition(
                changes.last_seqs[chat_id], local.members_version, local.version, local.first_seq
            )
        await self._compare(moved, positions, changes.epoch)

    async def _compare_some(self, chats: Sequence[LocalChat]) -> None:
        """Compare those of which changes do not tell, and the next ones in turn."""
        turns = self._turns or list(chats)
        due = {local for local in turns[:CHATS_A_QUERY] if self._hub.chat(local.chat_id) is local}
        due |= {local for local in chats if not local.members_version or local.epoch != self.epoch}
        due |= {local for local in self._in_doubt if self._hub.chat(local.chat_id) is local}
        await self._compare_all(list(due))
        self._turns = turns[CHATS_A_QUERY:]

    async def _compare_all(self, chats: Sequence[LocalChat]) -> None:
        in_doubt, self._in_doubt = self._in_doubt, set()
        try:
            for batch in _batches(chats) or [[]]:  # without chats, an empty query still shows that the store answers
                stored = await self._log.positions([local.chat_id for local in batch])
                await self._follow_epoch(batch, stored)
                await self._compare(batch, stored.chats, stored.epoch)
        except BaseException:
            self._in_doubt |= in_doubt
            raise

    async def _compare(self, chats: Sequence[LocalChat], positions: Mapping[int, ChatPosition], epoch: str) -> None:
        self._trim(chats, positions)
        await self._mend_behind(chats, positions, epoch)
        await self._compare_members(chats, positions)
        self._compare_details(chats, positions)

    def _trim(self, chats: Sequence[LocalChat], positions: Mapping[int, ChatPosition]) -> None:
        for local in chats:
            if (position := positions.get(local.chat_id)) is not None:
                self._hub.trim(local, position.first_seq)

    async def _mend_behind(self, chats: Sequence[LocalChat], positions: Mapping[int, ChatPosition], epoch: str) -> None:
        behind = [(local, positions[local.chat_id]) for local in chats if _is_behind(local, positions)]
        if behind:
            # Most of these events are not lost, but still in transit from the node that committed them.
            await asyncio.sleep(HOLD_S)
        for local, position in behind:
            if local.epoch == epoch and position.first_seq > local.reorder_buffer.next_seq:
                self._hub.skip(local, position.first_seq)
            if local.reorder_buffer.last_seq >= position.last_seq:
                continue
            if local.chat_id in self._repairing:  # which may end before this position
                self._in_doubt.add(local)
            else:
                await self.mend(local)

    async def _compare_members(self, chats: Sequence[LocalChat], positions: Mapping[int, ChatPosition]) -> None:
        moved = {
            local: position.members_version
            for local in chats
            if (position := positions.get(local.chat_id)) is not None
            and position.members_version != local.members_version
        }
        for local, version in moved.items():  # now, as who registers during the check was not compared by it
            local.members_version = version
        if moved:
            try:
                await self._on_members_changed({local.chat_id for local in moved})
            except BaseException:
                for local in moved:
                    local.members_version = 0
                raise

    def _compare_details(self, chats: Sequence[LocalChat], positions: Mapping[int, ChatPosition]) -> None:
        changed = [
            local.chat_id
            for local in chats
            if (position := positions.get(local.chat_id)) is not None and position.version != local.version
        ]
        if changed:
            self._on_chats_changed(changed)

    async def ensure_epoch(self, local: LocalChat, epoch: str) -> None:
        """Return once the chat's position belongs to `epoch`.

        Raises: StorageUnavailable, also if the store has another epoch.
        """
        if local.epoch != epoch:
            await self._follow_epoch([local], await self._log.positions([local.chat_id]))
        if local.epoch != epoch:
            raise StorageUnavailable("another history has begun")

    async def _follow_epoch(self, chats: Sequence[LocalChat], stored: Positions) -> None:
        """Restart every chat whose position belongs to another epoch than the store's."""
        if stored.epoch != self.epoch:
            self.epoch = stored.epoch
            logger.warning("epoch_changed", extra={"fields": {"epoch": stored.epoch}})
        for local in chats:
            if local.epoch != stored.epoch:
                await self._restart(local, stored)

    async def _restart(self, local: LocalChat, stored: Positions) -> None:
        position = stored.chats.get(local.chat_id)
        local.first_seq = position.first_seq if position else 1
        self._hub.restart(local, position.last_seq if position else 0, stored.epoch)
        local.members_version = 0
        if position is None:  # the chat does not exist in this epoch
            await self._on_members_changed([local.chat_id])


def _is_behind(local: LocalChat, positions: Mapping[int, ChatPosition]) -> bool:
    position = positions.get(local.chat_id)
    return position is not None and local.reorder_buffer.last_seq < position.last_seq


def _batches(chats: Sequence[LocalChat]) -> list[Sequence[LocalChat]]:
    return [chats[start : start + CHATS_A_QUERY] for start in range(0, len(chats), CHATS_A_QUERY)]
