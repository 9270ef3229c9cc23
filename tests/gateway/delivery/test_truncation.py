"""Logs whose beginning retention has removed: replays, repairs and caches go on from what is left."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.delivery.history import History
from gateway.delivery.hub import Hub, LocalChat
from gateway.delivery.repair import Repair
from gateway.delivery.replay_cache import PAGE, ReplayCache
from gateway.delivery.resume import Resume
from gateway.delivery.subscription import Subscription
from gateway.dialects.chat import ChatDialect
from gateway.protocol.frames import NOT_DIRECT
from gateway.protocol.ids import Since
from gateway.protocol.replies import CaughtUp, Reply, Truncated
from gateway.tasks import Tasks
from storage.records import ChatPosition, Positions
from tests.gateway.delivery.slow_log import CHAT, SlowLog, message

DIALECT = ChatDialect()


class ShortLog(SlowLog):
    """A log that begins at some seq."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__([message(seq) for seq in range(first, last + 1)])
        self.first, self.last = first, last

    def remove_below(self, first: int) -> None:
        self.first = first
        self.events = [event for event in self.events if event.seq >= first]

    async def positions(self, chat_ids: Any) -> Positions:
        return Positions("e1", {CHAT: ChatPosition(self.last, 1, 0, self.first)})


class Reader:
    """A session that takes everything, in order."""

    fd = NOT_DIRECT
    dialect = DIALECT

    def __init__(self) -> None:
        self.told: list[Reply] = []
        self.seqs: list[int] = []
        self.outlet = self

    async def wait_writable(self) -> bool:
        return True

    def tell(self, reply: Reply) -> None:
        self.told.append(reply)

    def queue(self, frames: bytes) -> bool:
        self.seqs += [int(part.split(b",")[0]) for part in frames.split(b'"seq":')[1:]]
        return True


class World:
    """A chat on a node."""

    def __init__(self, log: ShortLog, tasks: Tasks, last_seq: int) -> None:
        async def ignore(_: object) -> None: ...

        self.pages = ReplayCache(log, tasks)
        self.hub = Hub(on_event=self.pages.add, on_forget=self.pages.forget)
        self.log = log
        self.repair = Repair(self.hub, log, tasks, "e1", on_members_changed=ignore)
        self.local: LocalChat = self.hub.open(CHAT)[0]
        self.hub.start(self.local, last_seq, "e1")

    async def resume(self, seq: int) -> Reader:
        reader: Any = Reader()
        local, _ = self.hub.open(CHAT)
        subscription = Subscription(reader, local, None, None)
        await Resume(self.hub, self.pages, self.repair).run(subscription, Since(seq), "e1", "node")
        assert subscription.is_live
        found: Reader = reader
        return found


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    tasks = Tasks()
    yield tasks
    await tasks.close()


@pytest.mark.parametrize("since", [0, 5, PAGE + 3, 2 * PAGE, 3 * PAGE + 20])
async def test_resume_below_first_seq_goes_on_from_there(tasks: Tasks, since: int) -> None:
    first, last = 3 * PAGE + 50, 4 * PAGE + 10
    world = World(ShortLog(first, last), tasks, last)
    reader = await world.resume(since)
    assert reader.told[1:] == [Truncated(CHAT, first), CaughtUp(CHAT, last, "e1")]
    assert reader.seqs == list(range(first, last + 1))


@pytest.mark.parametrize("since", [3 * PAGE + 49, 3 * PAGE + 60])
async def test_resume_at_first_seq_is_not_truncated(tasks: Tasks, since: int) -> None:
    last = 4 * PAGE + 10
    world = World(ShortLog(3 * PAGE + 50, last), tasks, last)
    reader = await world.resume(since)
    assert reader.told[1:] == [CaughtUp(CHAT, last, "e1")]
    assert reader.seqs == list(range(since + 1, last + 1))


async def test_resume_in_emptied_log_is_told_where_it_goes_on(tasks: Tasks) -> None:
    world = World(ShortLog(301, 300), tasks, 300)
    reader = await world.resume(5)
    assert reader.told[1:] == [Truncated(CHAT, 301), CaughtUp(CHAT, 300, "e1")]
    assert reader.seqs == []


async def test_known_first_seq_costs_no_read_of_removed_pages(tasks: Tasks) -> None:
    world = World(ShortLog(3 * PAGE + 50, 4 * PAGE), tasks, 4 * PAGE)
    await world.repair.check()
    assert (await world.resume(5)).seqs[0] == 3 * PAGE + 50
    assert world.log.reads == [3 * PAGE]


async def test_check_drops_cached_events_that_were_removed(tasks: Tasks) -> None:
    world = World(ShortLog(1, 30), tasks, 30)
    assert (await world.resume(0)).seqs == list(range(1, 31))
    world.log.remove_below(21)
    await world.repair.check()
    assert world.pages.size == 0
    reader = await world.resume(0)
    assert (reader.told[1], reader.seqs) == (Truncated(CHAT, 21), list(range(21, 31)))
    world.log.reads.clear()
    await world.repair.check()
    assert (await world.resume(20)).seqs == list(range(21, 31))
    assert world.log.reads == [], "nothing was removed meanwhile, and the page is kept"


async def test_repair_skips_what_was_removed(tasks: Tasks) -> None:
    world = World(ShortLog(21, 30), tasks, 5)
    reader: Any = Reader()
    world.hub.join(world.hub.open(CHAT)[0], Subscription(reader, world.local, None, None))
    await world.repair.mend(world.local)
    world.hub._flush()
    assert world.local.reorder_buffer.last_seq == 30
    assert (reader.told, reader.seqs) == ([Truncated(CHAT, 21)], list(range(21, 31)))
    assert not world.local.reorder_buffer.has_gap


async def test_check_skips_log_of_which_nothing_is_left(tasks: Tasks) -> None:
    world = World(ShortLog(31, 30), tasks, 5)
    world.hub.deliver(world.local, [message(9)])
    await world.repair.check()
    assert (world.local.reorder_buffer.last_seq, world.local.reorder_buffer.has_gap) == (30, False)


async def test_node_that_is_behind_a_removal_follows_a_resume(tasks: Tasks) -> None:
    world = World(ShortLog(21, 30), tasks, 6)
    reader = await world.resume(5)
    assert (reader.told[1], reader.seqs) == (Truncated(CHAT, 21), list(range(21, 31)))
    assert world.local.reorder_buffer.last_seq == 30


async def test_page_of_history_begins_at_first_seq(tasks: Tasks) -> None:
    world = World(ShortLog(PAGE + 50, 2 * PAGE + 10), tasks, 2 * PAGE + 10)
    events = await History(world.hub, world.log, world.pages).after(CHAT, 3, 300, 2 * PAGE + 10)
    assert [event.seq for event in events] == list(range(PAGE + 50, 2 * PAGE + 11))


async def test_page_that_begins_late_ends_at_its_boundary(tasks: Tasks) -> None:
    world = World(ShortLog(PAGE - 20, 2 * PAGE), tasks, 2 * PAGE)
    replay = await world.pages.after(CHAT, 0, DIALECT)
    assert [event.seq for event in replay.events] == list(range(PAGE - 20, PAGE + 1))
