"""Joining the live stream while the session ends."""

import asyncio
from typing import Any

from gateway.delivery.hub import Hub, LocalChat
from gateway.delivery.replay_cache import ReplayCache
from gateway.delivery.resume import WRITE_BYTES, Resume
from gateway.delivery.subscription import Subscription
from gateway.dialects.chat import ChatDialect
from gateway.protocol.frames import NOT_DIRECT
from gateway.protocol.ids import Since
from gateway.protocol.replies import Established, Reply
from gateway.tasks import Tasks
from tests.gateway.delivery.slow_log import CHAT, SlowLog, deletion, message


class Gone:
    """A session that must not be spoken to any more."""

    dialect = ChatDialect()

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of a session that has left")


class Unmoved:
    """A store whose history is the same as before."""

    async def ensure_epoch(self, local: LocalChat, epoch: str) -> None: ...


async def test_session_that_left_during_open_does_not_join() -> None:
    hub = Hub()
    local, _ = hub.open(5)
    hub.open(5)  # somebody else, who stays
    subscription = Subscription(Gone(), local, None, None)  # type: ignore[arg-type]
    subscription.end()
    hub.give_up(local)
    hub.start(local, 3, "e1")
    resume: Any = Resume(hub, None, Unmoved())  # type: ignore[arg-type]
    await resume.run(subscription, None, "e1", "node")
    assert (local.waiting, len(local.live)) == (1, 0)


async def test_session_that_missed_nothing_joins_at_once() -> None:
    hub, reader = Hub(), SlowReader()
    local, _ = hub.open(CHAT)
    resume: Any = Resume(hub, None, Unmoved())  # type: ignore[arg-type]
    session: Any = reader
    subscription = Subscription(session, local, None, None)
    assert not resume.begin(subscription, None, "e1", "node"), "the chat has no position yet"
    hub.start(local, 3, "e1")
    assert not resume.begin(subscription, Since(3), "e1", "node")
    assert not resume.begin(subscription, None, "e2", "node")
    assert (reader.told, subscription.is_live) == ([], False)
    assert resume.begin(subscription, None, "e1", "node")
    assert (reader.told, subscription.is_live) == ([Established(CHAT, "node", 3, "e1")], True)
    gone: Any = Gone()
    late = Subscription(gone, local, None, None)
    late.end()
    assert resume.begin(late, None, "e1", "node")
    assert not late.is_live


class SlowReader:
    """A session whose send queue has room for a write whenever the test says so."""

    fd = NOT_DIRECT
    dialect = ChatDialect()

    def __init__(self) -> None:
        self.has_room = asyncio.Semaphore(0)
        self.writes: list[bytes] = []
        self.told: list[Reply] = []
        self.outlet = self

    async def wait_writable(self) -> bool:
        await self.has_room.acquire()
        return True

    def tell(self, reply: Reply) -> None:
        self.told.append(reply)

    def queue(self, frames: bytes) -> bool:
        self.writes.append(frames)
        return True


async def test_text_deleted_while_replay_waits_is_not_sent() -> None:
    tasks, reader = Tasks(), SlowReader()
    secret = message(150, "secret")
    events = [secret if seq == 150 else message(seq, "x" * 1000) for seq in range(1, 181)]  # one page, two writes
    log = SlowLog(events)
    pages = ReplayCache(log, tasks)
    hub = Hub(on_event=pages.add)
    local, _ = hub.open(CHAT)
    hub.start(local, 180, "e1")
    session: Any = reader
    repair: Any = Unmoved()
    subscription = Subscription(session, local, None, None)
    resuming = asyncio.create_task(Resume(hub, pages, repair).run(subscription, Since(0), "e1", "node"))
    reader.has_room.release()
    async with asyncio.timeout(5):
        while not reader.writes:
            await asyncio.sleep(0)
        assert WRITE_BYTES <= len(reader.writes[0]) < 1.1 * WRITE_BYTES
        hub.deliver(local, [deletion(181, secret)])
        for _ in range(5):
            reader.has_room.release()
        await resuming
    written = b"".join(reader.writes)
    assert written.count(b'"type":"message"') == 181
    assert b"secret" not in written
    assert log.reads == [0]
    assert subscription.is_live
    await tasks.close()
