"""A chat is opened for a member before the membership is read: subscribed first, then at the position of that read."""

import asyncio
from inspect import signature
from typing import Any

import pytest

from gateway.delivery.hub import Hub
from gateway.delivery.subscription import SubscriptionRegistry
from gateway.interfaces.presence import Seat
from gateway.node.node import Node
from gateway.protocol.claim import Claim
from gateway.tasks import Tasks
from storage.records import ChatPosition
from tests.gateway.delivery.memory_log import MemoryLog

CHAT = 7
SEAT = Seat(CHAT, 1, "ann", "a")


class Broker:
    """Confirms subscriptions when the test says so."""

    def __init__(self) -> None:
        self.confirmed = asyncio.Event()
        self.wanted: list[int] = []

    async def subscribe(self, chat_id: int) -> None:
        self.wanted.append(chat_id)
        await self.confirmed.wait()

    def unsubscribe(self, chat_id: int) -> None:
        self.wanted.clear()


class Parts:
    """A node with a hub and a log in memory."""

    def __init__(self) -> None:
        self.hub, self.broker, self.log, self.tasks = Hub(), Broker(), MemoryLog(), Tasks()
        self.log.chats[CHAT] = []
        unused: dict[str, Any] = dict.fromkeys(signature(Node).parameters)
        given = {"hub": self.hub, "broker": self.broker, "log": self.log, "tasks": self.tasks}
        given |= {"subscriptions": SubscriptionRegistry(), "repair": self}
        self.node = Node(**{**unused, **given})

    def schedule(self, local: object) -> None:
        """Repair would look for a hole."""


@pytest.fixture
async def parts() -> Any:
    made = Parts()
    yield made
    await made.tasks.close()


async def test_approach_waits_for_confirmation_and_reads_no_position(parts: Parts) -> None:
    approach = asyncio.create_task(parts.node.approach(CHAT))
    await asyncio.sleep(0)
    assert parts.broker.wanted == [CHAT]
    assert not approach.done()
    parts.broker.confirmed.set()
    local = await approach
    parts.node.start(local, ChatPosition(5, 1, 3, 2), "e1")
    assert (local.reorder_buffer.last_seq, local.epoch, local.version, local.first_seq) == (5, "e1", 3, 2)
    again = await parts.node.approach(CHAT)
    assert again is local
    parts.node.start(local, ChatPosition(4, 1), "e1")
    assert local.reorder_buffer.last_seq == 5, "an older read does not move it back"
    assert parts.log.compared == []
    assert parts.broker.wanted == [CHAT], "an open chat is subscribed already"
    parts.node.retreat(local)
    assert parts.hub.chat(CHAT) is local
    parts.node.retreat(local)
    assert parts.hub.chat(CHAT) is None
    assert parts.broker.wanted == []


async def test_cancelled_approach_closes_the_chat(parts: Parts) -> None:
    approach = asyncio.create_task(parts.node.approach(CHAT))
    await asyncio.sleep(0)
    approach.cancel()
    with pytest.raises(asyncio.CancelledError):
        await approach
    assert parts.hub.chat(CHAT) is None
    assert parts.broker.wanted == []


async def test_late_read_does_not_move_a_started_chat_back(parts: Parts) -> None:
    parts.log.may_answer.clear()
    parts.broker.confirmed.set()
    parts.node.visit(Visitor(), CHAT)  # type: ignore[arg-type]  # not told anything
    local = await parts.node.approach(CHAT)
    while not parts.log.compared:
        await asyncio.sleep(0)
    parts.node.start(local, ChatPosition(5, 1), "e1")
    parts.log.may_answer.set()
    while len(parts.tasks):
        await asyncio.sleep(0)
    assert local.reorder_buffer.last_seq == 5


async def test_session_takes_over_the_approached_chat(parts: Parts) -> None:
    parts.broker.confirmed.set()
    local = await parts.node.approach(CHAT)
    parts.node.start(local, ChatPosition(5, 1), "e1")
    subscription = parts.node.register(Visitor(), SEAT, Claim.settled(1), local=local)  # type: ignore[arg-type]
    assert subscription.local is local
    assert len(parts.tasks) == 0, "nothing is left to open"
    parts.hub.join(local, subscription)
    parts.hub.leave(local, subscription)
    assert parts.hub.chat(CHAT) is None


async def test_members_are_compared_again_after_late_registration(parts: Parts) -> None:
    """A removal may have come between the read that admitted the user and the registration, which ends nothing then."""
    parts.broker.confirmed.set()
    local = await parts.node.approach(CHAT)
    local.members_version = 6
    subscription = parts.node.register(Visitor(), SEAT, Claim.settled(1))  # type: ignore[arg-type]
    for version, expected in ((6, 6), (7, 6), (5, 0)):
        subscription.admitted_at(version)
        assert local.members_version == expected


class Visitor:
    """A session that is not live."""

    class dialect:  # noqa: N801
        """Without an echo."""

        name, echo = "none", None

    outlet = None
