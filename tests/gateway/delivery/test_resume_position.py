"""From which position a session goes on: what it is sent first, what it is replayed, and when it joins."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.delivery.hub import Hub
from gateway.delivery.repair import Repair
from gateway.delivery.replay_cache import PAGE, ReplayCache
from gateway.delivery.resume import Resume
from gateway.delivery.subscription import Subscription
from gateway.dialects.base import Dialect
from gateway.dialects.chat import ChatDialect
from gateway.dialects.service import ServiceDialect
from gateway.interfaces.presence import Seat
from gateway.protocol.frames import NOT_DIRECT, text_frame
from gateway.protocol.ids import Since
from gateway.protocol.replies import CaughtUp, Established, Reset
from gateway.tasks import Tasks
from storage.errors import StorageUnavailable
from storage.records import ChatEvent
from tests.gateway.delivery.events import event
from tests.gateway.delivery.memory_log import MemoryLog

CHAT = 1


@dataclass(eq=False)
class Session:
    """A session with room in its send queue until it is closed."""

    fd = NOT_DIRECT
    dialect: Dialect = field(default_factory=ChatDialect)
    is_open: bool = True
    replies: list[object] = field(default_factory=list)
    writes: list[bytes] = field(default_factory=list)

    @property
    def outlet(self) -> "Session":
        return self

    async def wait_writable(self) -> bool:
        await asyncio.sleep(0)
        return self.is_open

    def tell(self, reply: object) -> None:
        self.replies.append(reply)

    def queue(self, frames: bytes) -> bool:
        self.writes.append(frames)
        return True


async def ignore(_: object) -> None: ...


class Node:
    """A node whose chat is at `last_seq`, with a session that resumes there."""

    def __init__(self, log: MemoryLog, last_seq: int, *, epoch: str = "e1", session: Session | None = None) -> None:
        self.log = log
        self.tasks = Tasks()
        store: Any = log
        pages = ReplayCache(store, self.tasks)
        self.hub = Hub(on_event=pages.add, on_forget=pages.forget)
        self.resume = Resume(self.hub, pages, Repair(self.hub, store, self.tasks, epoch, on_members_changed=ignore))
        self.local, _ = self.hub.open(CHAT)
        self.hub.start(self.local, last_seq, epoch)
        self.session = Session() if session is None else session
        recipient: Any = self.session
        self.subscription = Subscription(recipient, self.local, Seat(CHAT, 1, "ann", "a"), 0)

    async def run(self, since: Since | None, epoch: str = "e1") -> None:
        async with asyncio.timeout(5):
            await self.resume.run(self.subscription, since, epoch, "node")

    @property
    def is_joined(self) -> bool:
        return self.subscription.is_live and self.local.live == [self.subscription]


@pytest.fixture
async def node_of() -> AsyncIterator[Callable[..., Node]]:
    nodes: list[Node] = []

    def make(stored: int, last_seq: int, **options: Any) -> Node:
        nodes.append(Node(MemoryLog(*(event(seq) for seq in range(1, stored + 1))), last_seq, **options))
        return nodes[-1]

    yield make
    for node in nodes:
        await node.tasks.close()


def frames(dialect: Dialect, *events: ChatEvent) -> bytes:
    return b"".join(text_frame(dialect.push(event) or b"") for event in events)


async def test_session_without_position_joins_at_the_end(node_of: Callable[..., Node]) -> None:
    node = node_of(3, 3)
    await node.run(None)
    assert node.session.replies == [Established(CHAT, "node", 3, "e1")]
    assert (node.is_joined, node.log.reads) == (True, [])


async def test_session_at_the_last_event_is_caught_up(node_of: Callable[..., Node]) -> None:
    node = node_of(3, 3)
    await node.run(Since(3, "e1"))
    assert node.session.replies == [Established(CHAT, "node", 3, "e1"), CaughtUp(CHAT, 3, "e1")]
    assert (node.is_joined, node.log.reads, node.session.writes) == (True, [], [])


async def test_session_is_replayed_what_it_missed(node_of: Callable[..., Node]) -> None:
    node = node_of(PAGE + 50, PAGE + 50)
    await node.run(Since(10))
    assert b"".join(node.session.writes) == frames(ChatDialect(), *(event(seq) for seq in range(11, PAGE + 51)))
    assert node.session.replies == [Established(CHAT, "node", PAGE + 50, "e1"), CaughtUp(CHAT, PAGE + 50, "e1")]
    assert node.is_joined


async def test_event_the_node_does_not_know_yet_is_read(node_of: Callable[..., Node]) -> None:
    node = node_of(5, 2)
    await node.run(Since(5, "e1"))
    assert node.session.replies == [Established(CHAT, "node", 5, "e1"), CaughtUp(CHAT, 5, "e1")]
    assert node.is_joined


@pytest.mark.parametrize("since", [Since(9), Since(9, "e1"), Since(2, "e0"), Since(3, "e0"), Since(0, "")])
async def test_position_of_another_history_is_reset(node_of: Callable[..., Node], since: Since) -> None:
    node = node_of(3, 3)
    await node.run(since)
    assert node.session.replies == [Established(CHAT, "node", 3, "e1"), Reset(CHAT, 3, "e1")]
    assert (node.is_joined, node.session.writes) == (True, [])


async def test_chat_of_an_older_epoch_moves_on_first(node_of: Callable[..., Node]) -> None:
    node = node_of(3, 9, epoch="e0")
    await node.run(None)
    assert node.session.replies == [Established(CHAT, "node", 3, "e1")]


async def test_epoch_that_ends_during_a_replay_ends_it(node_of: Callable[..., Node]) -> None:
    node = node_of(PAGE + 50, PAGE + 50)
    queue = node.session.queue

    def restart_at_first_write(frames: bytes) -> bool:
        if not node.session.writes:
            node.log.current_epoch = "e2"
            node.hub.restart(node.local, 400, "e2")
        return queue(frames)

    node.session.queue = restart_at_first_write  # type: ignore[method-assign]
    with pytest.raises(StorageUnavailable):
        await node.run(Since(0))
    assert (len(node.session.writes), node.is_joined) == (1, False)


async def test_session_that_leaves_during_catch_up_gets_nothing(node_of: Callable[..., Node]) -> None:
    node = node_of(5, 2)
    node.log.may_answer.clear()
    running = asyncio.create_task(node.run(Since(5)))
    await until(lambda: node.log.reads)
    node.subscription.end()
    node.log.may_answer.set()
    await running
    assert (node.session.replies, node.session.writes, node.is_joined) == ([], [], False)


async def test_session_that_leaves_during_a_read_gets_no_page(node_of: Callable[..., Node]) -> None:
    node = node_of(5, 5)
    node.log.may_answer.clear()
    running = asyncio.create_task(node.run(Since(0)))
    await until(lambda: node.log.reads)
    node.subscription.end()
    node.log.may_answer.set()
    await running
    assert (node.session.writes, node.is_joined) == ([], False)
    assert CaughtUp(CHAT, 5, "e1") not in node.session.replies


@pytest.mark.parametrize("has_left", [True, False])
async def test_closed_session_ends_its_replay(node_of: Callable[..., Node], has_left: bool) -> None:
    node = node_of(5, 5)
    node.session.is_open = has_left  # either is enough
    tell = node.session.tell

    def leave(reply: object) -> None:
        tell(reply)
        if has_left:
            node.subscription.end()

    node.session.tell = leave  # type: ignore[method-assign]
    await node.run(Since(0))
    assert (node.session.writes, node.is_joined, node.log.reads) == ([], False, [])


async def test_replay_ahead_of_redis_advances_the_node(node_of: Callable[..., Node]) -> None:
    node = node_of(5, 2)
    other = Session()
    recipient: Any = other
    node.hub.open(CHAT)
    node.hub.join(node.local, Subscription(recipient, node.local, Seat(CHAT, 2, "bob", "b"), 0))
    await node.run(Since(0))
    await asyncio.sleep(0)
    assert node.session.replies[-1] == CaughtUp(CHAT, 5, "e1")
    assert node.local.reorder_buffer.last_seq == 5
    assert other.writes == [frames(ChatDialect(), event(3), event(4), event(5))]


async def test_replay_that_the_store_lost_ends(node_of: Callable[..., Node]) -> None:
    node = node_of(0, 3)
    await node.run(Since(0))
    assert node.session.replies[-1] == CaughtUp(CHAT, 3, "e1")
    assert (node.session.writes, node.is_joined) == ([], True)


async def test_replay_skips_the_echo_of_what_the_socket_sent(node_of: Callable[..., Node]) -> None:
    dialect = ServiceDialect(resumes=True)
    node = node_of(3, 3, session=Session(dialect))
    node.log.chats[CHAT][2] = replace(event(3), sender=replace(event(3).sender, id=2), client_msg_id="c2")
    node.subscription.sends("c2")
    await node.run(Since(0))
    assert b"".join(node.session.writes) == frames(dialect, event(1), node.log.chats[CHAT][2])


async def test_replay_of_echoes_only_writes_nothing(node_of: Callable[..., Node]) -> None:
    node = node_of(1, 1, session=Session(ServiceDialect(resumes=True)))
    node.subscription.sends("c1")
    await node.run(Since(0))
    assert (node.session.writes, node.is_joined) == ([], True)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)
