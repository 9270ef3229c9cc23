"""Broadcasts to more subscribers than one step reaches: their order, and what happens between the steps."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.delivery import hub as hub_module
from gateway.delivery.hub import Hub, LocalChat
from gateway.delivery.sweep import STEP
from gateway.dialects.base import EchoPolicy
from gateway.dialects.chat import ChatDialect
from gateway.protocol.frames import NOT_DIRECT, text_frame
from gateway.protocol.pushes import Push
from storage.records import ChatEvent
from tests.gateway.delivery.events import event

MANY = 2 * STEP + 50
DIALECT = ChatDialect()


class Silent(ChatDialect):
    """A dialect that does not push events to their author."""

    name = "silent"
    echo = EchoPolicy.NONE


@dataclass(eq=False)
class Subscriber:
    """Keeps what is written."""

    fd = NOT_DIRECT
    dialect: ChatDialect = DIALECT
    user_id: int = 2
    writes: list[bytes] = field(default_factory=list)

    @property
    def outlet(self) -> Any:
        return self

    def consume_echo(self, event: ChatEvent) -> bool:
        return True

    def reset(self, last_seq: int, epoch: str) -> None:
        self.writes.append(b"reset %d" % last_seq)

    def truncate(self, first_seq: int) -> None:
        self.writes.append(b"truncated %d" % first_seq)
        if self.user_id == 0:
            raise ValueError

    def queue(self, frames: bytes) -> bool:
        self.writes.append(frames)
        return True


@dataclass
class World:
    """A hub with a chat of MANY subscribers, and what it reports."""

    flushes: list[tuple[int, int, int]] = field(default_factory=list)
    behind: int = 0
    crowd: list[Subscriber] = field(default_factory=lambda: [Subscriber() for _ in range(MANY)])

    def __post_init__(self) -> None:
        self.hub = Hub(self._on_flush, on_behind=self._on_behind)
        self.local = self.opened(1, *self.crowd)

    def opened(self, chat_id: int, *subscribers: Subscriber) -> LocalChat:
        local, _ = self.hub.open(chat_id)
        self.hub.start(local, 0, "e1")
        for number, subscriber in enumerate(subscribers):
            if number:
                self.hub.open(chat_id)
            self.hub.join(local, subscriber)
        return local

    def deliver(self, *seqs: int) -> None:
        self.hub.deliver(self.local, [event(seq) for seq in seqs])

    @property
    def counts(self) -> list[int]:
        """How many subscribers have had this many writes: none, one, …"""
        numbers = [len(one.writes) for one in self.crowd]
        return [numbers.count(count) for count in range(max(numbers) + 1)]

    def _on_flush(self, pushes: Sequence[Push], deliveries: int, size: int) -> None:
        self.flushes.append((len(pushes), deliveries, size))

    def _on_behind(self) -> None:
        self.behind += 1


@pytest.fixture
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn of the event loop has time for one step."""
    monkeypatch.setattr(hub_module, "SLICE_S", -1.0)


@pytest.fixture
def endless_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn of the event loop has time for everything."""
    monkeypatch.setattr(hub_module, "SLICE_S", 1e9)


def frame(seq: int) -> bytes:
    return text_frame(DIALECT.push(event(seq)) or b"")


async def turn() -> None:
    await asyncio.sleep(0)


@pytest.mark.usefixtures("endless_turns")
async def test_large_chat_is_written_in_one_turn_that_has_time() -> None:
    world = World()
    world.deliver(1, 2)
    await turn()
    assert world.counts == [0, MANY]
    assert {tuple(one.writes) for one in world.crowd} == {(frame(1) + frame(2),)}
    assert world.flushes == [(2, 2 * MANY, MANY * len(frame(1) + frame(2)))]


@pytest.mark.usefixtures("short_turns")
async def test_large_chat_is_written_in_steps() -> None:
    world = World()
    neighbour = Subscriber()
    other = world.opened(2, neighbour)
    world.deliver(1)
    await turn()
    assert world.counts == [MANY - STEP, STEP]
    world.hub.deliver(other, [event(1)])
    await turn()
    assert (world.counts, len(neighbour.writes)) == ([MANY - 2 * STEP, 2 * STEP], 1)
    while world.local.sweeps:
        await turn()
    assert world.counts == [0, MANY]
    assert world.flushes == [(1, 1, len(frame(1))), (1, MANY, MANY * len(frame(1)))]


@pytest.mark.usefixtures("short_turns")
async def test_turns_between_slices_are_left_to_others() -> None:
    world = World()
    world.deliver(1)
    await turn()
    await turn()
    for _ in range(hub_module.PAUSE):
        await turn()
        assert world.counts == [MANY - 2 * STEP, 2 * STEP]
    await turn()
    assert world.counts == [0, MANY]


@pytest.mark.usefixtures("short_turns")
async def test_broadcasts_during_a_sweep_follow_it_in_one_write() -> None:
    world = World()
    for seq in (1, 2, 3):
        world.deliver(seq)
        await turn()
    while world.local.sweeps:
        await turn()
    assert {tuple(one.writes) for one in world.crowd} == {(frame(1), frame(2) + frame(3))}
    assert [flush[:2] for flush in world.flushes] == [(1, MANY), (2, 2 * MANY)]


@pytest.mark.usefixtures("short_turns")
async def test_who_joins_or_leaves_during_a_sweep_gets_no_more_of_it() -> None:
    world = World()
    first, last, late = world.crowd[0], world.crowd[-1], Subscriber()
    world.deliver(1)
    await turn()
    world.deliver(2)
    world.hub.leave(world.local, first)
    world.hub.leave(world.local, last)
    world.hub.open(1)
    world.hub.join(world.local, late)
    world.deliver(3)
    while world.local.pending or world.local.sweeps:
        await turn()
    assert (first.writes, last.writes, late.writes) == ([frame(1)], [], [frame(3)])
    assert {b"".join(one.writes) for one in world.crowd[1:-1]} == {frame(1) + frame(2) + frame(3)}


@pytest.mark.usefixtures("short_turns")
async def test_author_is_skipped_in_a_sweep() -> None:
    world = World(crowd=[Subscriber(Silent(), user_id) for user_id in range(MANY)])
    author = world.crowd[1]  # of every event
    world.deliver(1)
    await turn()
    world.deliver(2)
    while world.local.pending or world.local.sweeps:
        await turn()
    assert author.writes == []
    assert {tuple(one.writes) for one in world.crowd if one is not author} == {(frame(1), frame(2))}
    assert [flush[:2] for flush in world.flushes] == [(1, MANY - 1)] * 2


@pytest.mark.usefixtures("short_turns")
async def test_new_epoch_follows_what_is_still_to_be_written() -> None:
    world = World()
    world.deliver(1)
    await turn()
    world.hub.restart(world.local, 0, "e2")
    world.deliver(1)
    while world.local.pending or world.local.sweeps:
        await turn()
    assert {tuple(one.writes) for one in world.crowd} == {(frame(1), b"reset 0", frame(1))}


@pytest.mark.usefixtures("short_turns")
async def test_failing_subscriber_does_not_end_a_sweep(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.crowd[1].user_id = 0
    world.hub.skip(world.local, 5)
    world.deliver(5)
    while world.local.pending or world.local.sweeps:
        await turn()
    assert {tuple(one.writes) for one in world.crowd} == {(b"truncated 5", frame(5))}
    assert [record.message for record in caplog.records] == ["broadcast_failed"]


@pytest.mark.usefixtures("short_turns")
async def test_chat_that_is_too_far_behind_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(hub_module, "MAX_BEHIND", 2 * len(frame(1)))
    world.deliver(1)
    await turn()
    world.deliver(2)
    await turn()
    assert (world.behind, len(world.local.sweeps)) == (0, 2)
    world.deliver(3)
    world.hub.open(1)
    world.hub.join(world.local, Subscriber())  # what is pending is not for it
    assert (world.behind, len(world.local.sweeps)) == (1, 0)
    assert {b"".join(one.writes) for one in world.crowd} == {frame(1) + frame(2) + frame(3)}
    await turn()
    world.deliver(4)
    await turn()
    assert world.counts[2:] == [MANY - STEP, STEP]


@pytest.mark.usefixtures("short_turns")
async def test_chat_forgotten_during_a_sweep_is_written_no_more() -> None:
    world = World()
    world.deliver(1)
    await turn()
    for one in world.crowd:
        world.hub.leave(world.local, one)
    while world.local.sweeps:
        await turn()
    assert world.counts == [MANY - STEP, STEP]
