"""What the application is given: every event of a chat once and in order, and no more than there is room for."""

from typing import Any

from chat_gateway_client.chats import Inbox, Subscription
from chat_gateway_client.events import CaughtUp, Event, Message, Other, Position, Reset, event_in

CHAT = 7


def message(seq: int, chat_id: int = CHAT) -> Event:
    data = {"id": 100 + seq, "seq": seq, "text": str(seq), "sender": None, "timestamp": "2026-11-28T10:30:00Z"}
    return event_in({"type": "message", "chat_id": chat_id, "data": data | {"is_edited": False, "is_deleted": False}})


def inbox(most: int = 100, since: Position | None = None) -> Inbox:
    box = Inbox(most)
    box.subscriptions[CHAT] = Subscription(since)
    box.established(CHAT, "e", 0)
    return box


async def taken(box: Inbox) -> list[Any]:
    """What waits, as seqs, or types of what has none."""
    box.close()
    events = []
    while (event := await box.next()) is not None:
        events.append(event.seq if isinstance(event, Message) else type(event))
    return events


async def test_replayed_events_are_given_once() -> None:
    box = inbox()
    for seq in (1, 2, 3, 2, 3, 4):
        box.put(message(seq))
    assert await taken(box) == [1, 2, 3, 4]


async def test_position_follows_acknowledgement_and_events() -> None:
    box = inbox()
    box.put(message(1))
    assert box.subscriptions[CHAT].position == Position("e", 1)
    box.put(event_in({"type": "reset", "chat_id": CHAT, "epoch": "f", "last_seq": 5}))
    assert box.subscriptions[CHAT].position == Position("f", 5)
    box.put(message(6))
    box.put(event_in({"type": "caught_up", "chat_id": CHAT, "epoch": "f", "seq": 6}))
    assert await taken(box) == [1, Reset, 6, CaughtUp]


async def test_second_subscription_takes_nothing_of_the_first() -> None:
    box = inbox()
    box.put(message(1))
    box.subscriptions[CHAT] = Subscription(Position("e", 0))
    box.put(message(2))  # without this 1 would be dropped behind it
    assert box.behind() == []
    box.established(CHAT, "e", 2)
    for seq in (1, 2, 3):
        box.put(message(seq))
    assert await taken(box) == [1, 1, 2, 3]


async def test_position_of_application_stays_until_events_come() -> None:
    box = inbox(since=Position("e", 9))
    assert box.subscriptions[CHAT].position == Position("e", 9)


async def test_events_of_other_chats_are_not_taken() -> None:
    box = inbox()
    box.put(message(1, chat_id=8))
    assert await taken(box) == []


async def test_full_inbox_starts_chat_again_after_last_taken() -> None:
    box = inbox(most=4)
    for seq in range(1, 8):
        box.put(message(seq))
    assert box.subscriptions[CHAT].position == Position("e", 4)
    for _ in range(2):
        assert box.behind() == []
        await box.next()
    assert box.behind() == [CHAT]
    assert box.behind() == []
    box.put(message(8))  # of the old subscription: 5 to 7 would be lost behind it
    box.established(CHAT, "e", 8)
    for seq in (5, 6, 7, 8):
        box.put(message(seq))
    assert await taken(box) == [3, 4, 5, 6]


async def test_full_inbox_drops_pushes_without_position() -> None:
    box = inbox(most=1)
    box.put(event_in({"type": "typing", "chat_id": CHAT}))
    box.put(event_in({"type": "typing", "chat_id": CHAT}))
    assert box.dropped == 1
    assert await taken(box) == [Other]
