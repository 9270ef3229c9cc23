import asyncio

import pytest

from gateway.delivery.hub import Hub, LocalChat
from gateway.dialects.base import EchoPolicy
from gateway.dialects.chat import ChatDialect
from gateway.protocol.frames import NOT_DIRECT, FrameSink, text_frame
from gateway.protocol.pushes import Push, Typing
from storage.records import ChatEvent, Person
from tests.gateway.delivery.events import event


class CountingDialect(ChatDialect):
    """Seed 004's, counting how often it encodes."""

    def __init__(self, name: str = "chat") -> None:
        super().__init__()
        self.name = name
        self.encoded = 0

    def push(self, push: Push) -> bytes | None:
        self.encoded += 1
        return super().push(push)


class Reader:
    """A subscriber that keeps what it is offered; `has_room` False refuses it."""

    fd = NOT_DIRECT

    def __init__(self, dialect: ChatDialect, user_id: int = 1, *, has_room: bool = True) -> None:
        self.dialect = dialect
        self.user_id = user_id
        self.has_room = has_room
        self.writes: list[bytes] = []
        self.own: set[int] = set()
        self.resets: list[tuple[int, str]] = []
        self.asked: list[int] = []

    def consume_echo(self, event: ChatEvent) -> bool:
        self.asked.append(event.seq)
        return event.seq in self.own

    def reset(self, last_seq: int, epoch: str) -> None:
        self.resets.append((last_seq, epoch))

    @property
    def outlet(self) -> FrameSink:
        return self

    def queue(self, frames: bytes) -> bool:
        self.writes.append(frames)
        return self.has_room


@pytest.fixture
def hub() -> Hub:
    return Hub()


def joined(hub: Hub, *readers: Reader) -> LocalChat:
    local, _ = hub.open(1)
    hub.start(local, 0, "e1")
    hub.join(local, readers[0])
    for reader in readers[1:]:
        hub.open(1)
        hub.join(local, reader)
    return local


async def turn() -> None:
    """Let the current turn of the loop end."""
    await asyncio.sleep(0)


async def test_events_of_one_loop_turn_are_encoded_and_written_once(hub):
    dialect = CountingDialect()
    readers = [Reader(dialect) for _ in range(5)]
    local = joined(hub, *readers)
    hub.deliver(local, [event(1)])
    hub.deliver(local, [event(2), event(3)])
    assert readers[0].writes == []
    await turn()
    expected = b"".join(text_frame(ChatDialect().push(event(seq)) or b"") for seq in (1, 2, 3))
    assert [reader.writes for reader in readers] == [[expected]] * 5
    assert dialect.encoded == 3


async def test_each_dialect_gets_its_own_encoding(hub):
    first, second = CountingDialect("first"), CountingDialect("second")
    local = joined(hub, Reader(first), Reader(second), Reader(second))
    hub.deliver(local, [event(1)])
    await turn()
    assert (first.encoded, second.encoded) == (1, 1)


async def test_push_skips_its_author_and_message_does_not(hub):
    author, other = Reader(CountingDialect(), user_id=1), Reader(CountingDialect(), user_id=2)
    local = joined(hub, author, other)
    hub.deliver(local, [event(1)])
    hub.broadcast(local, Typing(1, Person(1, "ann"), is_typing=True), skip_user=1)
    await turn()
    assert b"typing" not in author.writes[0]
    assert b"message 1" in author.writes[0]
    assert b"typing" in other.writes[0]


async def test_only_author_sockets_filter_events_and_others_share(hub):
    dialect = CountingDialect("without echo")
    dialect.echo = EchoPolicy.NONE
    sending, second, other = Reader(dialect, user_id=1), Reader(dialect, user_id=1), Reader(dialect, user_id=2)
    sending.own = {1}
    full_echo = Reader(CountingDialect(), user_id=1)
    local = joined(hub, sending, second, other, full_echo)
    hub.deliver(local, [event(1), event(2)])  # both by user 1
    await turn()
    first, last = (text_frame(ChatDialect().push(event(seq)) or b"") for seq in (1, 2))
    assert sending.writes == [last]
    assert second.writes == other.writes == full_echo.writes == [first + last]
    assert (sending.asked, second.asked, other.asked, full_echo.asked) == ([1, 2], [1, 2], [], [])
    assert dialect.encoded == 2


async def test_full_subscriber_does_not_delay_others(hub):
    full, other = Reader(CountingDialect(), has_room=False), Reader(CountingDialect())
    local = joined(hub, full, other)
    hub.deliver(local, [event(1)])
    await turn()
    assert len(other.writes) == 1


async def test_joining_subscriber_gets_only_later_events(hub):
    early, late = Reader(CountingDialect()), Reader(CountingDialect())
    local = joined(hub, early)
    hub.deliver(local, [event(1)])
    hub.open(1)
    hub.join(local, late)
    hub.deliver(local, [event(2)])
    await turn()
    assert b"message 1" not in b"".join(late.writes)
    assert b"message 2" in b"".join(late.writes)
    assert b"message 1" in b"".join(early.writes)
    assert b"message 2" in b"".join(early.writes)


async def test_chat_is_dropped_with_its_last_subscriber(hub):
    reader = Reader(CountingDialect())
    local = joined(hub, reader)
    pending, is_first = hub.open(1)
    assert pending is local
    assert not is_first
    assert not hub.leave(local, reader)
    assert hub.give_up(local)
    assert hub.chat(1) is None
    assert hub.open(1)[1]


async def test_unencodable_push_does_not_stop_other_chats(hub, caplog):
    class Broken(ChatDialect):
        name = "broken"

        def push(self, push: Push) -> bytes | None:
            raise RuntimeError("broken")

    joined(hub, Reader(Broken()))
    other = Reader(CountingDialect())
    second, _ = hub.open(2)
    hub.start(second, 0, "e1")
    hub.join(second, other)
    first = hub.chat(1)
    assert first is not None
    hub.deliver(first, [event(1)])
    hub.deliver(second, [event(1)])
    await turn()
    assert len(other.writes) == 1
    assert "broadcast_failed" in caplog.text


async def test_new_epoch_resets_after_pending_events_and_continues() -> None:
    forgotten: list[int] = []
    hub = Hub(on_forget=forgotten.append)
    reader = Reader(ChatDialect())
    local = joined(hub, reader)
    hub.deliver(local, [event(1), event(2), event(3), event(7)])
    hub.restart(local, 1, "e2")
    assert (len(reader.writes), reader.resets, forgotten) == (1, [(1, "e2")], [1])
    hub.deliver(local, [event(2), event(3), event(4), event(5), event(6)])
    await asyncio.sleep(0)
    assert (local.reorder_buffer.last_seq, local.reorder_buffer.has_gap, local.epoch) == (6, False, "e2")
    assert len(reader.writes) == 2
