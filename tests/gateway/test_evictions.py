"""Who must go, and who must not."""

from collections.abc import Sequence
from typing import Any

from gateway.codes import Close, Disconnect
from gateway.dialects.room import RoomDialect
from gateway.evictions import Evictions
from gateway.hub import LocalChat
from gateway.messages import CrowdedOut, Takeover
from gateway.presence import Seat, guest_id, is_guest, unsettled_claim
from gateway.subscription import Roster, Subscription


class Membership:
    """Everybody is asked after; nobody is a member but user 1."""

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


def enter(roster: Roster, user_id: int, claim: int = 1, chat_id: int = 1, **seat: Any) -> Session:
    session: Any = Session()
    roster.add(Subscription(session, LocalChat(chat_id), Seat(chat_id, user_id, "name", f"c{claim}", **seat), claim))
    closed: Session = session
    return closed


async def test_a_recheck_closes_who_is_no_member_and_never_asks_about_guests() -> None:
    roster, membership = Roster(), Membership()
    members: Any = membership
    member, stranger, guest = enter(roster, 1), enter(roster, 2), enter(roster, guest_id("ann"))
    await Evictions(roster, members).recheck([1])
    assert (member.closes, stranger.closes, guest.closes) == ([], [Close.FORBIDDEN], [])
    assert membership.asked == {(1, 1), (1, 2)}


async def test_chats_are_rechecked_by_one_statement() -> None:
    roster, membership = Roster(), Membership()
    members: Any = membership
    sockets = [enter(roster, user, chat_id=chat) for chat in (1, 2) for user in (1, 2)]
    elsewhere = enter(roster, 2, chat_id=3)
    await Evictions(roster, members).recheck([1, 2])
    assert [socket.closes for socket in sockets] == [[], [Close.FORBIDDEN], [], [Close.FORBIDDEN]]
    assert (elsewhere.closes, membership.statements) == ([], 1)


async def test_who_is_crowded_out_closes_but_not_who_came_again_since() -> None:
    roster, membership = Roster(), Membership()
    members: Any = membership
    early, late, other = (enter(roster, user, claim, capacity=2) for user, claim in ((-3, 5), (-3, 8), (-4, 5)))
    Evictions(roster, members).crowd_out(CrowdedOut(1, -3, claim=5))
    assert (early.closes, late.closes, other.closes) == ([Close.ROOM_FULL], [], [])


async def test_who_came_while_redis_was_away_replaces_who_is_here_and_is_replaced_once_its_claim_is_known() -> None:
    roster, membership = Roster(), Membership()
    members: Any = membership
    evictions = Evictions(roster, members)
    present = 1_800_000_000_000_000  # of Redis' clock, which may be ahead of all others
    unsettled = unsettled_claim()
    old, late = enter(roster, 5, present, exclusive=True), enter(roster, 5, unsettled, exclusive=True)
    evictions.replace(Takeover(1, 5, unsettled, f"c{unsettled}"))
    assert (old.closes, late.closes) == ([Close.REPLACED], [])
    evictions.replace(Takeover(1, 5, present + 5, "elsewhere"))
    assert late.closes == [], "Redis has not said yet which of the two came first"
    roster.settle(Seat(1, 5, "name", f"c{unsettled}", exclusive=True), present + 4)
    evictions.replace(Takeover(1, 5, present + 5, "elsewhere"))
    assert late.closes == [Close.REPLACED]


async def test_a_displaced_seat_is_told_why() -> None:
    roster, membership = Roster(), Membership()
    members: Any = membership
    guest, user = enter(roster, -3, 5, capacity=2), enter(roster, 7, 6, exclusive=True)
    evictions = Evictions(roster, members)
    evictions.displace(Seat(1, -3, "name", "c5", capacity=2))
    evictions.displace(Seat(1, 7, "name", "c6", exclusive=True))
    assert (guest.closes, user.closes) == ([Close.ROOM_FULL], [Close.REPLACED])


def test_guests_are_told_from_users_and_from_each_other() -> None:
    names = [f"guest {number}" for number in range(1000)]
    ids = {guest_id(name) for name in names}
    assert len(ids) == len(names)
    assert all(is_guest(id_) and id_ >= -(2**63) for id_ in ids)
    assert not is_guest(0)
    assert guest_id("ann") == guest_id("ann")
