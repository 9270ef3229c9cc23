"""Which subscriptions of a user a node finds, and that ended ones are not found any more."""

from typing import Any

import pytest

from gateway.delivery.hub import LocalChat
from gateway.delivery.subscription import NO_USER, Subscription, SubscriptionRegistry
from gateway.dialects.chat import ChatDialect
from gateway.interfaces.presence import Seat
from gateway.protocol.claim import Claim
from gateway.protocol.codes import Close, Disconnect
from gateway.protocol.replies import Reset

CLAIM = Claim.settled(5)


class Session:
    """Keeps its replies and how it was closed."""

    def __init__(self) -> None:
        self.dialect = ChatDialect()
        self.replies: list[object] = []
        self.closed: list[Disconnect] = []

    def tell(self, reply: object) -> None:
        self.replies.append(reply)

    def close(self, disconnect: Disconnect) -> None:
        self.closed.append(disconnect)


def subscription(user_id: int, connection_id: str, *, chat_id: int = 7, exclusive: bool = False) -> Subscription:
    session: Any = Session()
    return Subscription(session, LocalChat(chat_id), Seat(chat_id, user_id, "ann", connection_id, exclusive), CLAIM)


@pytest.fixture
def registry() -> SubscriptionRegistry:
    return SubscriptionRegistry()


def test_registry_finds_subscriptions_by_chat_and_user(registry: SubscriptionRegistry) -> None:
    first, second = subscription(1, "a"), subscription(1, "b")
    other, elsewhere = subscription(2, "c"), subscription(1, "d", chat_id=8)
    for one in (first, second, other, elsewhere):
        registry.add(one)
    assert registry.of(7, 1) == [first, second]
    assert registry.of(7, 2) == [other]
    assert registry.of(8, 1) == [elsewhere]
    assert list(registry.users(7)) == [1, 2]


def test_unknown_chat_and_user_have_no_subscriptions(registry: SubscriptionRegistry) -> None:
    registry.add(subscription(1, "a"))
    assert (registry.of(7, 9), registry.of(9, 1), list(registry.users(9))) == ([], [], [])


def test_removed_subscription_is_not_found(registry: SubscriptionRegistry) -> None:
    first, second, other = subscription(1, "a"), subscription(1, "b"), subscription(2, "c")
    for one in (first, second, other):
        registry.add(one)
    registry.remove(first)
    assert registry.of(7, 1) == [second]
    registry.remove(second)
    assert (registry.of(7, 1), list(registry.users(7))) == ([], [2])
    registry.remove(other)
    assert list(registry.users(7)) == []


def test_registry_keeps_nothing_of_a_chat_without_users(registry: SubscriptionRegistry) -> None:
    one = subscription(1, "a")
    registry.add(one)
    registry.remove(one)
    assert registry._chats == {}


def test_remove_ignores_what_is_not_registered(registry: SubscriptionRegistry) -> None:
    one, never_added = subscription(1, "a"), subscription(1, "b")
    registry.remove(never_added)
    registry.add(one)
    registry.remove(never_added)
    registry.remove(subscription(2, "c"))
    assert registry.of(7, 1) == [one]


def test_settle_sets_the_claim_of_that_seat_only(registry: SubscriptionRegistry) -> None:
    one, other = subscription(1, "a"), subscription(1, "b")
    registry.add(one)
    registry.add(other)
    assert one.seat is not None
    registry.settle(one.seat, Claim.settled(42))
    assert (one.claim, other.claim) == (Claim.settled(42), CLAIM)


def test_subscription_without_a_seat_has_no_user() -> None:
    session: Any = Session()
    visitor = Subscription(session, LocalChat(7), None, None)
    assert (visitor.user_id, visitor.connection_id, visitor.is_exclusive) == (NO_USER, "", False)
    assert subscription(1, "a", exclusive=True).is_exclusive
    assert not subscription(1, "a").is_exclusive


def test_subscription_ends_once() -> None:
    one = subscription(1, "a")
    assert not one.has_left()
    assert one.end()
    assert one.has_left()
    assert not one.end()


def test_reset_and_close_reach_the_session() -> None:
    one = subscription(1, "a")
    session: Any = one.session
    one.reset(3, "e2")
    one.close(Disconnect(Close.REPLACED))
    assert session.replies == [Reset(7, 3, "e2")]
    assert session.closed == [Disconnect(Close.REPLACED)]


def test_new_subscription_starts_at_zero_and_not_live() -> None:
    one = subscription(1, "a")
    assert (one.pos, one.is_live) == (0, False)


def test_exclusive_seat_yields_to_a_later_claim() -> None:
    one = subscription(1, "b", exclusive=True)
    assert one.yields_to(Claim.settled(6), "a")
    assert one.yields_to(CLAIM, "c")
    assert not one.yields_to(CLAIM, "b")
    assert not one.yields_to(Claim.settled(4), "c")
    assert one.yields_to(Claim.unsettled(), "a")
    assert not subscription(1, "b").yields_to(Claim.settled(6), "a")
