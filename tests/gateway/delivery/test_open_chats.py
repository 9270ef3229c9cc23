"""What a node knows of its open chats: new messages in memory, and who has a seat here."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.delivery.hub import Hub
from gateway.delivery.open_chats import MAX_EVENTS, OpenChats
from gateway.delivery.replay_cache import PAGE, ReplayCache
from gateway.delivery.subscription import Subscription
from gateway.interfaces.presence import Seat
from gateway.protocol.claim import Claim
from gateway.tasks import Tasks
from tests.gateway.delivery.slow_log import CHAT, SlowLog, deletion, message

EPOCH = "an epoch"


@pytest.fixture
async def opened() -> AsyncIterator[tuple[Hub, OpenChats]]:
    """An open chat, whose events begin at 11 here."""
    tasks = Tasks()
    pages = ReplayCache(SlowLog([]), tasks)
    hub = Hub(on_event=pages.add, on_forget=pages.forget)
    local, _ = hub.open(CHAT)
    hub.start(local, 10, EPOCH)
    yield hub, OpenChats(hub, pages)
    await tasks.close()


def seqs(opened: tuple[Hub, OpenChats], first: int, last: int, epoch: str = EPOCH) -> list[int]:
    return [event.seq for event in opened[1].new_messages(CHAT, first, last, epoch)]


def deliver(hub: Hub, first: int, last: int) -> None:
    local = hub.chat(CHAT)
    assert local is not None
    hub.deliver(local, [message(seq) for seq in range(first, last + 1)])


async def test_new_messages_are_in_memory(opened: tuple[Hub, OpenChats]) -> None:
    deliver(opened[0], 11, 250)
    assert seqs(opened, 190, 210) == list(range(190, 211)), "over the end of a page"
    assert seqs(opened, 11, 11) == [11]
    assert seqs(opened, 10, 12) == [], "not all of them"
    assert seqs(opened, 249, 251) == []
    assert seqs(opened, 20, 30, "another epoch") == []
    assert opened[1].new_messages(CHAT + 1, 1, 1, EPOCH) == ()


async def test_range_with_a_change_is_left_to_the_store(opened: tuple[Hub, OpenChats]) -> None:
    hub, _ = opened
    deliver(hub, 11, 14)
    local = hub.chat(CHAT)
    assert local is not None
    hub.deliver(local, [deletion(15, message(12))])
    assert seqs(opened, 11, 15) == []
    assert seqs(opened, 11, 14) == [11, 12, 13, 14]


async def test_long_ranges_are_left_to_the_store(opened: tuple[Hub, OpenChats]) -> None:
    deliver(opened[0], 11, 11 + MAX_EVENTS + PAGE)
    assert len(seqs(opened, 12, 11 + MAX_EVENTS)) == MAX_EVENTS
    assert seqs(opened, 12, 12 + MAX_EVENTS) == []


async def test_closed_chat_has_nothing(opened: tuple[Hub, OpenChats]) -> None:
    hub, open_chats = opened
    deliver(hub, 11, 12)
    local = hub.chat(CHAT)
    assert local is not None
    assert hub.give_up(local)
    assert seqs(opened, 11, 12) == []
    assert open_chats.connected(CHAT) == {}


class Socket:
    """The session of a seat."""

    dialect = SimpleNamespace(echo=None, name="a dialect")
    outlet = None


async def test_connected_users_have_settled_seats_here(opened: tuple[Hub, OpenChats]) -> None:
    hub, open_chats = opened
    local = hub.chat(CHAT)
    assert local is not None
    claims = [(1, Claim.settled(7_000_000)), (1, Claim.settled(5_900_000)), (2, Claim.unsettled()), (3, None)]
    for number, (user_id, claim) in enumerate(claims):
        socket: Any = Socket()
        hub.join(local, Subscription(socket, local, Seat(CHAT, user_id, "a name", str(number)), claim))
    reader: Any = Socket()
    hub.join(local, Subscription(reader, local, None, Claim.settled(4_000_000)))
    assert open_chats.connected(CHAT) == {1: 5}, "since the first of the user's seats"
