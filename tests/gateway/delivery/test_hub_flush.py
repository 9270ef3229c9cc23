"""What a flush reports and writes, and what a hub forgets."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.delivery.hub import Hub, LocalChat
from gateway.dialects.base import EchoPolicy
from gateway.dialects.chat import ChatDialect
from gateway.protocol.frames import NOT_DIRECT, text_frame
from gateway.protocol.pushes import Push, Typing
from storage.records import ChatEvent, Person
from tests.gateway.delivery.events import event

TYPING = Typing(1, Person(1, "ann"), is_typing=True)


class Dialect(ChatDialect):
    """Seed 004's under another name, without what it must not encode."""

    def __init__(
        self, name: str = "chat", *, echo: EchoPolicy = EchoPolicy.ALL, without: type[Push] | None = None
    ) -> None:
        super().__init__()
        self.name = name
        self.echo = echo
        self._without = without

    def push(self, push: Push) -> bytes | None:
        return None if self._without is not None and isinstance(push, self._without) else super().push(push)


@dataclass(eq=False)
class Subscriber:
    """Keeps what is written, and skips the echo of the seqs in `own`."""

    fd = NOT_DIRECT
    dialect: Dialect = field(default_factory=Dialect)
    user_id: int = 1
    own: set[int] = field(default_factory=set)
    writes: list[bytes] = field(default_factory=list)

    @property
    def outlet(self) -> "Subscriber":
        return self

    def consume_echo(self, event: ChatEvent) -> bool:
        return event.seq in self.own

    def reset(self, last_seq: int, epoch: str) -> None: ...

    def queue(self, frames: bytes) -> bool:
        self.writes.append(frames)
        return True


class Flushes:
    """A hub that keeps what it reports."""

    def __init__(self) -> None:
        self.flushes: list[tuple[list[Push], int, int]] = []
        self.delivered: list[int] = []
        self.forgotten: list[int] = []
        self.hub = Hub(
            self._on_flush,
            on_event=lambda event: self.delivered.append(event.seq),
            on_forget=self.forgotten.append,
        )

    def _on_flush(self, pushes: Sequence[Push], deliveries: int, size: int) -> None:
        self.flushes.append((list(pushes), deliveries, size))

    def joined(self, *subscribers: Subscriber) -> LocalChat:
        local, _ = self.hub.open(1)
        self.hub.start(local, 0, "e1")
        for number, subscriber in enumerate(subscribers):
            if number:
                self.hub.open(1)
            self.hub.join(local, subscriber)
        return local


def frame(push: Push) -> bytes:
    return text_frame(ChatDialect().push(push) or b"")


async def turn() -> None:
    await asyncio.sleep(0)


async def test_flush_reports_pushes_deliveries_and_bytes() -> None:
    node = Flushes()
    local = node.joined(Subscriber(), Subscriber(), Subscriber(Dialect("other")))
    node.hub.deliver(local, [event(1), event(2)])
    await turn()
    size = len(frame(event(1)) + frame(event(2)))
    assert node.flushes == [([event(1), event(2)], 6, 3 * size)]


async def test_flush_reports_what_authors_did_not_skip() -> None:
    node, dialect = Flushes(), Dialect(echo=EchoPolicy.OTHER_SOCKETS)
    first, second = (Subscriber(dialect, own={1}) for _ in range(2))
    nothing, others = Subscriber(dialect, own={1, 2}), [Subscriber(dialect, user_id=2) for _ in range(3)]
    local = node.joined(first, second, nothing, *others)
    node.hub.deliver(local, [event(1), event(2)])
    await turn()
    one, both = frame(event(2)), frame(event(1)) + frame(event(2))
    assert (first.writes, second.writes, nothing.writes) == ([one], [one], [])
    assert [other.writes for other in others] == [[both]] * 3
    assert node.flushes == [([event(1), event(2)], 10, 2 * len(one) + 3 * len(both))]


async def test_push_that_a_dialect_lacks_is_not_written() -> None:
    node = Flushes()
    without = Subscriber(Dialect("without", without=Typing), user_id=2)
    author = Subscriber(Dialect("without", without=Typing), user_id=1)
    local = node.joined(without, author)
    node.hub.broadcast(local, TYPING)
    node.hub.broadcast(local, TYPING, skip_user=1)
    await turn()
    assert (without.writes, author.writes) == ([], [])
    assert node.flushes == [([TYPING, TYPING], 0, 0)]


async def test_only_push_is_skipped_by_its_author() -> None:
    node, author, other = Flushes(), Subscriber(), Subscriber(user_id=2)
    node.hub.broadcast(node.joined(author, other), TYPING, skip_user=1)
    await turn()
    assert (author.writes, other.writes) == ([], [frame(TYPING)])
    assert node.flushes == [([TYPING], 1, len(frame(TYPING)))]


async def test_chat_without_live_subscribers_flushes_nothing() -> None:
    node = Flushes()
    local, _ = node.hub.open(1)
    node.hub.start(local, 0, "e1")
    node.hub.deliver(local, [event(1)])
    await turn()
    assert (node.flushes, node.delivered) == ([], [1])


async def test_join_without_pending_pushes_flushes_nothing() -> None:
    node = Flushes()
    node.joined(Subscriber(), Subscriber())
    assert node.flushes == []


async def test_turn_has_one_flush_for_all_chats() -> None:
    node, loop = Flushes(), asyncio.get_running_loop()
    local = node.joined(Subscriber())
    other, _ = node.hub.open(2)
    node.hub.join(other, Subscriber())
    scheduled: list[object] = []
    call_soon = loop.call_soon
    loop.call_soon = lambda *args, **kwargs: scheduled.append(args) or call_soon(*args, **kwargs)  # type: ignore
    try:
        for seq in (1, 2):
            node.hub.broadcast(local, event(seq))
            node.hub.broadcast(other, event(seq))
    finally:
        del loop.call_soon
    assert len(scheduled) == 1
    await turn()
    assert [len(pushes) for pushes, _, _ in node.flushes] == [2, 2]


async def test_chat_is_dropped_with_its_last_subscriber() -> None:
    node, first, second = Flushes(), Subscriber(), Subscriber()
    local = node.joined(first, second)
    assert not node.hub.leave(local, first)
    assert (local.live, node.hub.chat(1), node.forgotten) == ([second], local, [])
    assert node.hub.leave(local, second)
    assert (local.live, node.hub.chat(1), len(node.hub), node.forgotten) == ([], None, 0, [1])


async def test_leaving_twice_changes_nothing() -> None:
    node, first, second = Flushes(), Subscriber(), Subscriber(Dialect("other"))
    local = node.joined(first, second)
    assert not node.hub.leave(local, first)
    assert not node.hub.leave(local, first)
    third = Subscriber(Dialect("other"))
    assert not node.hub.leave(local, third)
    assert local.live == [second]
    assert node.hub.leave(local, second)
    assert node.hub.leave(local, second)
    assert node.forgotten == [1]


async def test_forgotten_chat_is_not_cached_by_a_late_repair() -> None:
    node, subscriber = Flushes(), Subscriber()
    local = node.joined(subscriber)
    node.hub.leave(local, subscriber)
    node.hub.deliver(local, [event(1)])
    assert node.delivered == []


def test_new_chat_has_no_epoch_and_no_users() -> None:
    local = LocalChat(1)
    assert (local.epoch, local.present_count, local.waiting, local.is_needed) == ("", 0, 0, False)


def test_start_sets_the_epoch() -> None:
    node = Flushes()
    assert node.joined().epoch == "e1"
