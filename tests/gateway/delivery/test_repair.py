"""Repair of gaps, and the report of those that remain."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest

from gateway.delivery.hub import Hub
from gateway.delivery.repair import Repair
from gateway.tasks import Tasks
from storage.chat_records import Changes, Look
from storage.errors import StorageUnavailable
from storage.records import ChatEvent, ChatPosition, Positions
from tests.support.used_metrics import event


async def ignore(_: int) -> None:
    """Nobody is to be put out."""


class AwayLog:
    """A store that does not answer, until it does; it then has the first event of every chat."""

    def __init__(self) -> None:
        self.is_away = True
        self.asked = asyncio.Event()
        self.reads = 0

    async def events_after(self, chat_id: int, seq: int, limit: int) -> Sequence[ChatEvent]:
        self.asked.set()
        self.reads += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise StorageUnavailable("away")
        return [event(0, seq=1), event(0, seq=2)][seq:]


async def test_gap_counts_as_unrepaired_only_without_running_repair() -> None:
    hub, tasks, log = Hub(), Tasks(), AwayLog()
    repair = Repair(hub, log, tasks, "e1", on_members_changed=ignore)  # type: ignore[arg-type]
    local, _ = hub.open(1)
    hub.start(local, 0, "e1")
    hub.deliver(local, [event(0, seq=2)])
    repair.schedule(local)
    assert repair.count_unrepaired() == 0, "it is held for a moment, and read then"
    async with asyncio.timeout(5):
        await log.asked.wait()
        while not repair.count_unrepaired():
            await asyncio.sleep(0.001)
    log.is_away = False
    await repair.mend(local)
    assert (repair.count_unrepaired(), local.reorder_buffer.last_seq) == (0, 2)
    await tasks.close()


class CountingLog:
    """Knows the positions of all chats, and how many it was asked for at a time, and when.

    What has moved since a look is what the test says, once.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[float, int]] = []
        self.ids: list[int] = []
        self.looks: list[Look | None] = []
        self.epoch = "e1"
        self.last_seqs: dict[int, int] = {}
        self.chats: dict[int, ChatPosition] = {}
        self.is_complete = True
        self.is_away = False
        self.may_read = asyncio.Event()
        self.may_read.set()

    async def positions(self, chat_ids: Sequence[int]) -> Positions:
        if self.is_away:
            raise StorageUnavailable("away")
        self.asked.append((asyncio.get_running_loop().time(), len(chat_ids)))
        self.ids += chat_ids
        return Positions(self.epoch, {chat_id: ChatPosition(0, 1) for chat_id in chat_ids})

    async def changes(self, last: Look | None, most: int) -> Changes:
        self.looks.append(last)
        look = Look(self.epoch, len(self.looks), 0, 0, 0)
        return Changes(self.epoch, look, last is not None and self.is_complete, self.last_seqs, self.chats)

    async def events_after(self, chat_id: int, seq: int, limit: int) -> Sequence[ChatEvent]:
        if self.is_away:
            raise StorageUnavailable("away")
        await self.may_read.wait()
        return [event(chat_id, seq=known) for known in range(seq + 1, self.last_seqs.get(chat_id, 0) + 1)]

    def asked_for(self) -> list[int]:
        """The numbers of positions in each statement since the last call."""
        counts = [count for _, count in self.asked]
        self.asked.clear()
        self.ids.clear()
        return counts


def repair_of(chats: int, log: CountingLog, tasks: Tasks, interval_s: float) -> Repair:
    hub = Hub()
    for chat_id in range(1, chats + 1):
        local, _ = hub.open(chat_id)
        hub.start(local, 0, "e1")
    return Repair(hub, log, tasks, "e1", on_members_changed=ignore, interval_s=lambda: interval_s)  # type: ignore[arg-type]


async def test_changed_member_versions_are_reported_once_together() -> None:
    hub, versions, told = Hub(), {1: 1, 2: 1, 3: 7}, list[set[int]]()

    class Versions:
        async def positions(self, chat_ids: Sequence[int]) -> Positions:
            return Positions("e1", {chat_id: ChatPosition(0, versions[chat_id]) for chat_id in chat_ids})

    async def tell(chat_ids: Collection[int]) -> None:
        told.append(set(chat_ids))

    for chat_id in versions:
        local, _ = hub.open(chat_id)
        hub.start(local, 0, "e1")
    repair = Repair(hub, Versions(), Tasks(), "e1", on_members_changed=tell)  # type: ignore[arg-type]
    await repair.check()
    await repair.check()
    versions[2] += 1
    await repair.check()
    assert told == [{1, 2, 3}, {2}]


async def test_positions_are_checked_in_groups_of_1000() -> None:
    log = CountingLog()
    await repair_of(2500, log, Tasks(), 1).check()
    assert [count for _, count in log.asked] == [1000, 1000, 500]


@dataclass
class ManyChats:
    """A node with 2,500 open chats, after its first two checks, which compare all."""

    hub: Hub
    log: CountingLog
    repair: Repair
    rechecked: list[int]
    changed: list[int]

    def last_seq(self, chat_id: int) -> int:
        local = self.hub.chat(chat_id)
        assert local is not None
        return local.reorder_buffer.last_seq


@pytest.fixture
async def many() -> AsyncIterator[ManyChats]:
    hub, log, tasks, rechecked, changed = Hub(), CountingLog(), Tasks(), list[int](), list[int]()
    for chat_id in range(1, 2501):
        local, _ = hub.open(chat_id)
        local.version = 1
        hub.start(local, 0, "e1")

    async def recheck(chat_ids: Collection[int]) -> None:
        rechecked.extend(chat_ids)

    repair = Repair(hub, log, tasks, "e1", on_members_changed=recheck, on_chats_changed=changed.extend)  # type: ignore[arg-type]
    await repair.check()
    assert log.asked_for() == [1000, 1000, 500]
    assert sorted(rechecked) == list(range(1, 2501))
    rechecked.clear()
    yield ManyChats(hub, log, repair, rechecked, changed)
    await tasks.close()


async def test_idle_chats_cost_two_statements_a_check(many: ManyChats) -> None:
    """What has moved, and a thousand chats in turn: all of them in three checks."""
    checked: set[int] = set()
    for count in (1000, 1000, 500, 1000):
        await many.repair.check()
        checked |= set(many.log.ids)
        assert many.log.asked_for() == [count]
    assert checked == set(range(1, 2501))
    assert len(many.log.looks) == 5
    assert (many.rechecked, many.changed) == ([], [])


async def test_moved_chats_are_repaired_and_compared(many: ManyChats) -> None:
    many.log.last_seqs = {2000: 3, 2001: 1, 9999: 5}
    many.log.chats = {2001: ChatPosition(1, 2), 2002: ChatPosition(0, 1, version=2), 9999: ChatPosition(5, 5)}
    await many.repair.check()
    assert [many.last_seq(chat_id) for chat_id in (1999, 2000, 2001, 2002)] == [0, 3, 1, 0]
    assert (many.rechecked, many.changed) == ([2001], [2002])
    await many.repair.check()
    assert many.rechecked == [2001]


async def test_moved_chat_skips_what_retention_removed(many: ManyChats) -> None:
    many.log.chats = {2000: ChatPosition(9, 1, first_seq=10)}
    await many.repair.check()
    assert many.last_seq(2000) == 9


async def test_new_chats_are_compared_at_the_next_check(many: ManyChats) -> None:
    await many.repair.check()
    many.log.asked_for()
    for chat_id in (3000, 3001):
        local, _ = many.hub.open(chat_id)
        local.version = 1
        many.hub.start(local, 0, "e1")
    await many.repair.check()
    assert {3000, 3001} <= set(many.log.ids)
    assert many.rechecked == [3000, 3001]
    many.log.asked_for()
    await many.repair.check()
    assert not {3000, 3001} & set(many.log.ids)


async def test_incomplete_changes_make_a_check_compare_all(many: ManyChats) -> None:
    many.log.is_complete = False
    await many.repair.check()
    assert many.log.asked_for() == [1000, 1000, 500]
    many.log.is_complete, many.log.epoch = True, "e2"
    await many.repair.check()
    assert many.log.asked_for() == [1000, 1000, 500]
    assert {local.epoch for local in many.hub.chats()} == {"e2"}


async def test_failed_check_asks_for_the_same_changes_again(many: ManyChats) -> None:
    many.log.last_seqs, many.log.is_away = {2000: 3}, True
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            await many.repair.check()
    many.log.is_away = False
    await many.repair.check()
    assert many.log.looks[-3] == many.log.looks[-2] == many.log.looks[-1]
    assert many.last_seq(2000) == 3


async def test_chat_behind_during_a_repair_is_compared_again(many: ManyChats) -> None:
    """A repair may end at a hole that closed by itself, below an event of which nothing arrived."""
    local = many.hub.chat(2400)
    assert local is not None
    many.hub.deliver(local, [event(2400, seq=2)])
    many.log.may_read.clear()
    many.repair.schedule(local)
    many.log.last_seqs = {2400: 3}
    await many.repair.check()
    assert 2400 in many.log.ids
    many.log.may_read.set()


async def test_position_checks_have_random_intervals() -> None:
    tasks, log, interval_s = Tasks(), CountingLog(), 0.1
    tasks.spawn(repair_of(1, log, tasks, interval_s).run(), "repair")
    async with asyncio.timeout(10):
        while len(log.asked) < 12:
            await asyncio.sleep(0.01)
    await tasks.close()
    pauses = [after - before for (before, _), (after, _) in pairwise(log.asked)]
    assert 0.9 * interval_s <= min(pauses) < interval_s


async def test_concurrent_catch_ups_share_one_read() -> None:
    """As when a node dies between COMMIT and PUBLISH, and its clients come back over this one."""
    hub, tasks, log = Hub(), Tasks(), AwayLog()
    repair = Repair(hub, log, tasks, "e1", on_members_changed=ignore)  # type: ignore[arg-type]
    local, _ = hub.open(1)
    hub.start(local, 0, "e1")
    outcomes = await asyncio.gather(*(repair.catch_up_to(local, 2) for _ in range(1000)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StorageUnavailable}
    assert log.reads == 1
    log.is_away, log.reads = False, 0
    await asyncio.gather(*(repair.catch_up_to(local, 2) for _ in range(1000)))
    assert (local.reorder_buffer.last_seq, log.reads) == (2, 1)
    await asyncio.gather(*(repair.catch_up_to(local, 9) for _ in range(1000)))  # beyond the last event
    assert (local.reorder_buffer.last_seq, log.reads) == (2, 3)
    await tasks.close()
