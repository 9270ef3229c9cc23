"""How a chat on this node reaches the position of the store, and what the store is asked for it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.delivery import repair as repair_module
from gateway.delivery.hub import Hub, LocalChat
from gateway.delivery.repair import HOLD_S, PAGE, Repair
from gateway.tasks import Tasks
from storage.errors import StorageUnavailable
from storage.records import ChatEvent
from tests.gateway.delivery.events import event
from tests.gateway.delivery.memory_log import MemoryLog


class Node:
    """A hub with its repair, and what the repair reported."""

    def __init__(self, log: MemoryLog, interval_s: float = 60.0) -> None:
        self.log = log
        self.hub = Hub()
        self.tasks = Tasks()
        self.gaps: list[int] = []
        self.checked: list[bool] = []
        self.moved: list[set[int]] = []
        self.during: Callable[[], None] = lambda: None
        """Called while members are compared."""
        store: Any = log
        self.repair = Repair(
            self.hub,
            store,
            self.tasks,
            "e1",
            on_members_changed=self._members_changed,
            on_gap=self.gaps.append,
            on_checked=self.checked.append,
            interval_s=lambda: interval_s,
        )

    async def _members_changed(self, chat_ids: Collection[int]) -> None:
        self.moved.append(set(chat_ids))
        self.during()

    def opened(self, last_seq: int = 0, chat_id: int = 1, epoch: str = "e1") -> LocalChat:
        local, _ = self.hub.open(chat_id)
        self.hub.start(local, last_seq, epoch)
        return local


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    node = Node(MemoryLog(*(event(seq) for seq in range(1, 6))))
    yield node
    await node.tasks.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_check_reads_what_a_chat_lacks(node: Node) -> None:
    local, other = node.opened(2), node.opened(0, chat_id=2)
    node.log.chats[2] = []
    await node.repair.check()
    assert (local.reorder_buffer.last_seq, other.reorder_buffer.last_seq) == (5, 0)
    assert node.log.reads == [(1, 2, PAGE)]
    assert node.gaps == [0, 3]


async def test_check_of_a_chat_that_lacks_nothing_reads_nothing(node: Node) -> None:
    node.opened(5)
    await node.repair.check()
    assert (node.log.compared, node.log.reads) == ([[1]], [])


async def test_check_ignores_a_chat_without_a_position(node: Node) -> None:
    node.hub.open(1)
    await node.repair.check()
    assert node.log.compared == [[]]


async def test_check_does_not_read_events_in_transit(node: Node) -> None:
    local = node.opened(2)
    loop = asyncio.get_running_loop()
    arrive = [event(seq) for seq in (3, 4, 5)]
    node.log.on_positions = lambda: loop.call_later(HOLD_S / 20, node.hub.deliver, local, arrive)
    await node.repair.check()
    assert (local.reorder_buffer.last_seq, node.log.reads) == (5, [])


async def test_check_leaves_a_chat_under_repair_alone(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    local, events_after, may_read = node.opened(2), node.log.events_after, asyncio.Event()
    begun: list[int] = []

    async def read_late(chat_id: int, seq: int, limit: int) -> list[ChatEvent]:
        begun.append(seq)
        await may_read.wait()
        return await events_after(chat_id, seq, limit)

    monkeypatch.setattr(node.log, "events_after", read_late)
    node.hub.deliver(local, [event(5)])
    node.repair.schedule(local)
    await until(lambda: begun)
    async with asyncio.timeout(5):
        await node.repair.check()
    assert begun == [2]
    may_read.set()
    await until(lambda: local.reorder_buffer.last_seq == 5)


async def test_check_adopts_the_epoch_of_the_store(node: Node) -> None:
    local = node.opened(9)
    await node.repair.check()
    node.log.current_epoch = "e2"
    await node.repair.check()
    assert (local.epoch, local.reorder_buffer.last_seq, node.repair.epoch) == ("e2", 5, "e2")
    assert node.moved == [{1}, {1}], "members may differ in another epoch"


async def test_chat_that_is_missing_in_the_new_epoch_restarts_at_0(node: Node) -> None:
    local = node.opened(9, chat_id=3)
    node.log.current_epoch = "e2"
    await node.repair.check()
    assert (local.epoch, local.reorder_buffer.last_seq, node.moved) == ("e2", 0, [{3}])


async def test_members_of_each_chat_are_reported_once_a_change(node: Node) -> None:
    for chat_id in (1, 2):
        node.opened(5, chat_id=chat_id)
    node.log.chats[2] = [replace(event(5), chat_id=2)]
    await node.repair.check()
    node.log.versions[1] += 1
    await node.repair.check()
    await node.repair.check()
    assert node.moved == [{1, 2}, {1}]


async def test_ensure_epoch_asks_nothing_in_the_same_epoch(node: Node) -> None:
    local = node.opened(2)
    await node.repair.ensure_epoch(local, "e1")
    assert node.log.compared == []


async def test_ensure_epoch_moves_a_chat_to_the_epoch_of_the_store(node: Node) -> None:
    local = node.opened(9, epoch="e0")
    node.log.current_epoch = "e2"
    await node.repair.ensure_epoch(local, "e2")
    assert (local.epoch, local.reorder_buffer.last_seq, node.repair.epoch) == ("e2", 5, "e2")
    assert node.log.compared == [[1]]


async def test_ensure_epoch_fails_if_the_store_has_another(node: Node) -> None:
    local = node.opened(9)
    with pytest.raises(StorageUnavailable, match="another history"):
        await node.repair.ensure_epoch(local, "e2")
    assert (local.epoch, local.reorder_buffer.last_seq) == ("e1", 9)


async def test_hole_is_read_once_after_a_moment(node: Node) -> None:
    local = node.opened(2)
    node.hub.deliver(local, [event(5)])
    node.repair.schedule(local)
    node.repair.schedule(local)
    assert len(node.tasks) == 1
    assert node.log.reads == []
    await until(lambda: not len(node.tasks))
    assert (local.reorder_buffer.last_seq, node.log.reads, node.gaps) == (5, [(1, 2, PAGE)], [0, 3])
    assert node.repair.count_unrepaired() == 0


async def test_hole_that_closes_by_itself_is_not_read(node: Node) -> None:
    local = node.opened(2)
    node.hub.deliver(local, [event(4)])
    node.repair.schedule(local)
    await asyncio.sleep(0)
    node.hub.deliver(local, [event(3)])
    await until(lambda: not len(node.tasks))
    assert node.log.reads == []


async def test_chat_without_a_hole_is_not_scheduled(node: Node) -> None:
    node.repair.schedule(node.opened(2))
    assert len(node.tasks) == 0


async def test_mend_reads_page_by_page(node: Node) -> None:
    local = node.opened(0)
    node.log.chats[1] = [event(seq) for seq in range(1, PAGE + 2)]
    await node.repair.mend(local)
    assert node.log.reads == [(1, 0, PAGE), (1, PAGE, PAGE)]
    assert node.gaps == [0, PAGE, 1]


async def test_mend_counts_only_what_is_still_missing(node: Node) -> None:
    local = node.opened(0)
    node.log.may_answer.clear()
    mend = asyncio.create_task(node.repair.mend(local))
    await until(lambda: node.log.reads)
    node.hub.deliver(local, [event(1), event(2)])
    node.log.may_answer.set()
    await mend
    assert node.gaps == [0, 3]


async def test_catch_up_to_a_known_event_reads_nothing(node: Node) -> None:
    await node.repair.catch_up_to(node.opened(2), 2)
    assert node.log.reads == []


async def test_catch_up_to_a_missing_event_reads_once(node: Node) -> None:
    local = node.opened(2)
    await node.repair.catch_up_to(local, 99)
    assert (local.reorder_buffer.last_seq, len(node.log.reads)) == (5, 1)


async def test_catch_up_fails_as_its_read_fails(node: Node) -> None:
    node.log.is_away = True
    with pytest.raises(StorageUnavailable, match="away"):
        await node.repair.catch_up_to(node.opened(2), 5)


async def test_catch_up_fails_if_its_read_is_cancelled(node: Node) -> None:
    node.log.may_answer.clear()
    waiting = asyncio.create_task(node.repair.catch_up_to(node.opened(2), 5))
    await until(lambda: node.log.reads)
    await node.tasks.close()
    with pytest.raises(StorageUnavailable, match=r"^the read was cut off$"):
        await waiting


async def test_check_soon_causes_one_check(node: Node) -> None:
    node.opened(5)
    node.tasks.spawn(node.repair.run(), "repair")
    for count in (1, 2):
        node.repair.check_soon()
        await until(lambda: len(node.checked) == count)  # noqa: B023
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(node.log.compared) == count
    assert node.checked == [True, True]


async def test_check_reports_a_store_that_does_not_answer(node: Node) -> None:
    node.tasks.spawn(node.repair.run(), "repair")
    for is_away in (True, False):
        node.log.is_away = is_away
        node.repair.check_soon()
        await until(lambda: len(node.checked) == 2 - is_away)  # noqa: B023
    assert node.checked == [False, True]


async def test_checks_are_spread_below_their_interval(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[tuple[float, float]] = []
    monkeypatch.setattr(repair_module.random, "uniform", lambda low, high: bounds.append((low, high)) or low)
    node.tasks.spawn(node.repair.run(), "repair")
    await until(lambda: bounds)
    assert bounds == [(0.9, 1.0)]


async def test_members_are_compared_again_after_failure_or_late_join(node: Node) -> None:
    local = node.opened(5)

    def fail() -> None:
        raise StorageUnavailable("away")

    def come() -> None:
        local.members_version = 0  # as the registration of a user who was admitted at an earlier version does

    for node.during in (fail, come, lambda: None):
        with suppress(StorageUnavailable):
            await node.repair.check()
    await node.repair.check()
    assert node.moved == [{1}] * 3
