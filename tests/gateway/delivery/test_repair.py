"""Repair of gaps, and the report of those that remain."""

import asyncio
from collections.abc import Collection, Sequence
from itertools import pairwise

from gateway.delivery.hub import Hub
from gateway.delivery.repair import Repair
from gateway.tasks import Tasks
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
    """Knows the positions of all chats, and how many it was asked for at a time, and when."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, int]] = []

    async def positions(self, chat_ids: Sequence[int]) -> Positions:
        self.asked.append((asyncio.get_running_loop().time(), len(chat_ids)))
        return Positions("e1", {chat_id: ChatPosition(0, 1) for chat_id in chat_ids})


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
