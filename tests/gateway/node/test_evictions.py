"""Evictions: which sessions are closed and which are not."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import pytest

from gateway import turns
from gateway.delivery.hub import LocalChat
from gateway.delivery.subscription import Subscription, SubscriptionRegistry
from gateway.dialects.room import RoomDialect
from gateway.interfaces.presence import Seat, guest_id, is_guest
from gateway.node import evictions
from gateway.node.evictions import Evictions
from gateway.protocol.claim import Claim
from gateway.protocol.codes import Close, Disconnect
from gateway.protocol.publications import CrowdedOut, Takeover
from storage.auth_records import Credential


class Membership:
    """Records the queries; only user 1 is a member."""

    def __init__(self) -> None:
        self.asked: set[tuple[int, int]] = set()
        self.statements = 0

    async def still_members(self, pairs: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
        self.asked |= set(pairs)
        self.statements += 1
        return {pair for pair in pairs if pair[1] == 1}


class Session:
    """Keeps how it was closed."""

    dialect = RoomDialect("room1")

    def __init__(self) -> None:
        self.closes: list[Close] = []

    def close(self, disconnect: Disconnect) -> None:
        self.closes.append(disconnect.code)


class Expiring(Session):
    """Its token is valid until this time; counts the warnings."""

    def __init__(self, expires_at: float) -> None:
        super().__init__()
        self.credential = Credential(1, expires_at)  # type: ignore[arg-type]  # infinity is later than any time
        self.warnings = 0

    def warn_of_expiry(self, _: float) -> None:
        self.warnings += 1


def enter(
    subscriptions: SubscriptionRegistry, user_id: int, claim: int | Claim = 1, chat_id: int = 1, **seat: Any
) -> Session:
    session: Any = Session()
    taken = claim if isinstance(claim, Claim) else Claim.settled(claim)
    subscriptions.add(
        Subscription(session, LocalChat(chat_id), Seat(chat_id, user_id, "name", f"c{taken.us}", **seat), taken)
    )
    closed: Session = session
    return closed


async def test_recheck_closes_non_members_and_skips_guests() -> None:
    subscriptions, membership = SubscriptionRegistry(), Membership()
    members: Any = membership
    member, stranger, guest = enter(subscriptions, 1), enter(subscriptions, 2), enter(subscriptions, guest_id("ann"))
    await Evictions(subscriptions, members).recheck([1])
    assert (member.closes, stranger.closes, guest.closes) == ([], [Close.FORBIDDEN], [])
    assert membership.asked == {(1, 1), (1, 2)}


async def test_chats_are_rechecked_in_one_statement() -> None:
    subscriptions, membership = SubscriptionRegistry(), Membership()
    members: Any = membership
    sockets = [enter(subscriptions, user, chat_id=chat) for chat in (1, 2) for user in (1, 2)]
    elsewhere = enter(subscriptions, 2, chat_id=3)
    await Evictions(subscriptions, members).recheck([1, 2])
    assert [socket.closes for socket in sockets] == [[], [Close.FORBIDDEN], [], [Close.FORBIDDEN]]
    assert (elsewhere.closes, membership.statements) == ([], 1)


async def test_crowded_out_socket_closes_but_not_a_newer_one() -> None:
    subscriptions, membership = SubscriptionRegistry(), Membership()
    members: Any = membership
    early, late, other = (enter(subscriptions, user, claim, capacity=2) for user, claim in ((-3, 5), (-3, 8), (-4, 5)))
    Evictions(subscriptions, members).crowd_out(CrowdedOut(1, -3, claim=Claim.settled(5)))
    assert (early.closes, late.closes, other.closes) == ([Close.ROOM_FULL], [], [])


async def test_unsettled_seat_is_replaced_only_once_its_claim_is_known() -> None:
    subscriptions, membership = SubscriptionRegistry(), Membership()
    members: Any = membership
    evictions = Evictions(subscriptions, members)
    present = 1_800_000_000_000_000  # of Redis' clock, which may be ahead of all others
    unsettled = Claim.unsettled()
    old, late = enter(subscriptions, 5, present, exclusive=True), enter(subscriptions, 5, unsettled, exclusive=True)
    evictions.replace(Takeover(1, 5, unsettled, f"c{unsettled.us}"))
    assert (old.closes, late.closes) == ([Close.REPLACED], [])
    evictions.replace(Takeover(1, 5, Claim.settled(present + 5), "elsewhere"))
    assert late.closes == [], "Redis has not said yet which of the two came first"
    subscriptions.settle(Seat(1, 5, "name", f"c{unsettled.us}", exclusive=True), Claim.settled(present + 4))
    evictions.replace(Takeover(1, 5, Claim.settled(present + 5), "elsewhere"))
    assert late.closes == [Close.REPLACED]


async def test_displaced_seat_closes_with_its_reason() -> None:
    subscriptions, membership = SubscriptionRegistry(), Membership()
    members: Any = membership
    guest, user = enter(subscriptions, -3, 5, capacity=2), enter(subscriptions, 7, 6, exclusive=True)
    evictions = Evictions(subscriptions, members)
    evictions.displace(Seat(1, -3, "name", "c5", capacity=2))
    evictions.displace(Seat(1, 7, "name", "c6", exclusive=True))
    assert (guest.closes, user.closes) == ([Close.ROOM_FULL], [Close.REPLACED])


def test_guest_ids_are_distinct_and_never_user_ids() -> None:
    names = [f"guest {number}" for number in range(1000)]
    ids = {guest_id(name) for name in names}
    assert len(ids) == len(names)
    assert all(is_guest(id_) and id_ >= -(2**63) for id_ in ids)
    assert not is_guest(0)
    assert guest_id("ann") == guest_id("ann")


async def test_expired_sessions_close_and_others_are_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evictions, "EXPIRY_INTERVAL_S", 0)
    monkeypatch.setattr(turns, "PORTION", 1)
    sessions: Any = [Expiring(math.inf), Expiring(0), Expiring(math.inf)]
    task = asyncio.create_task(evictions.expire(sessions))
    try:
        async with asyncio.timeout(10):
            while not all(session.closes or session.warnings for session in sessions):
                await asyncio.sleep(0)
    finally:
        task.cancel()
    assert [session.closes[:1] for session in sessions] == [[], [Close.UNAUTHORIZED], []]
    assert not sessions[1].warnings
