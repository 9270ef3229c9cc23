"""From a token to a user."""

import time
from dataclasses import replace

import pytest

from auth.tokens import GuestIssuer, Issuer, TokenNames, Verifier
from gateway.bearers import Bearers
from gateway.identity import Caller, ForeignPage, Guest, Identity
from gateway.origins import Origins
from gateway.problems import Problem
from storage.errors import StorageUnavailable
from storage.records import Admission, ChatKind, ChatPosition, Member, Person, Role
from tests.auth.forgery import new_key, public
from tests.gateway.memory_tickets import MemoryTickets
from tests.gateway.requests import connection

ANN = Person(7, "ann", "Ann")
KEY = new_key()
NOW = time.time()
TICKETS = MemoryTickets()


class Few:
    """The only people there are; None: the database is away."""

    def __init__(self, *people: Person | None) -> None:
        self._people = people

    async def by_id(self, user_id: int) -> Person | None:
        if None in self._people:
            raise StorageUnavailable
        return next((person for person in self._people if person and person.id == user_id), None)


def identity_of(bearers: Bearers) -> Identity:
    return Identity(bearers, Origins((), public_url="", is_development=False))


def identity(*people: Person | None) -> Identity:
    async def keys() -> dict[str, object]:
        return public(KEY)

    return identity_of(Bearers(Verifier(keys), Few(*people), TICKETS))


def token(user: Person = ANN, lifetime_s: int = 7200) -> str:
    return Issuer(TokenNames(), lifetime_s, now=lambda: NOW).issue(KEY, user.id, user.username)


async def refusal(of: Identity, *headers: tuple[str, str]) -> Problem:
    with pytest.raises(Problem) as refused:
        await of.caller(connection(*headers))
    return refused.value


async def test_the_caller_is_who_the_token_names_as_the_database_knows_them() -> None:
    caller = await identity(ANN).caller(connection(kind="websocket", subprotocols=["bearer", token()]))
    assert caller == Caller(ANN, int(NOW) + 7200, "bearer")


async def test_a_user_who_is_gone_is_nobody() -> None:
    problem = await refusal(identity(), ("Authorization", f"Bearer {token()}"))
    assert (problem.status, problem.code) == (401, "unauthorized")


async def test_who_has_a_place_in_the_chat_is_known_by_it_and_asked_for_by_nothing_else() -> None:
    place = Admission(1, ChatKind.GROUP, Member(ANN, Role.MEMBER, read_seq=0), ChatPosition(5, 1), "e1")

    async def admit(user_id: int) -> Admission | None:
        return place if user_id == ANN.id else None

    nobody_else_is_asked = identity(None)
    caller, admission = await nobody_else_is_asked.member(connection(("Authorization", f"Bearer {token()}")), admit)
    assert (caller, admission) == (Caller(ANN, int(NOW) + 7200, None), place)


@pytest.mark.parametrize(("people", "status"), [((ANN,), 403), ((), 401)], ids=["a stranger", "a user who is gone"])
async def test_who_has_no_place_in_the_chat_learns_first_whether_the_token_is_good(
    people: tuple[Person, ...], status: int
) -> None:
    async def admit(_: int) -> Admission | None:
        return None

    with pytest.raises(Problem) as refused:
        await identity(*people).member(connection(("Authorization", f"Bearer {token()}")), admit)
    assert refused.value.status == status


async def test_the_reason_of_a_refusal_is_said_and_the_token_is_not() -> None:
    expired = token(lifetime_s=-3600)
    problem = await refusal(identity(ANN), ("Authorization", f"Bearer {expired}"))
    assert problem.status == 401
    assert "expired" in problem.detail
    said = problem.detail + repr(problem) + str(problem.__cause__) + bytes(problem.response().body).decode()
    assert not [part for part in expired.split(".") if part in said]


async def test_a_foreign_page_learns_nothing_of_its_token() -> None:
    for value in (token(), "junk"):
        headers = (("Origin", "http://evil.example"), ("Authorization", f"Bearer {value}"))
        assert isinstance(await refusal(identity(ANN), *headers), ForeignPage)
    two = (("Origin", "http://evil.example"), ("Authorization", "Bearer a"), ("Authorization", "Bearer b"))
    assert isinstance(await refusal(identity(ANN), *two), ForeignPage)


async def test_keys_that_cannot_be_read_are_an_outage_and_no_refusal() -> None:
    async def keys() -> dict[str, object]:
        raise OSError

    nobody = identity_of(Bearers(Verifier(keys), Few(ANN), TICKETS))
    problem = await refusal(nobody, ("Authorization", f"Bearer {token()}"))
    assert (problem.status, problem.code) == (503, "unavailable")
    assert problem.headers["Retry-After"] == "1"


async def test_a_database_that_is_away_is_an_outage_and_no_refusal() -> None:
    with pytest.raises(StorageUnavailable):
        await identity(None).caller(connection(("Authorization", f"Bearer {token()}")))


GUEST = {"username": "user1", "email": "user1@example.com", "room_id": "room1"}


def guest_token(at: float = NOW) -> str:
    return GuestIssuer(TokenNames(), now=lambda: at).issue(KEY, **GUEST)


async def test_a_guest_is_who_they_say_they_are_wherever_their_token_stands() -> None:
    who = identity()
    guest = Guest(**GUEST, expires_at=int(NOW) + 3600, subprotocol=None)
    assert await who.guest(connection(("Authorization", f"Bearer {guest_token()}"))) == guest
    assert await who.guest(connection(query=[("token", guest_token())])) == guest
    offered = connection(kind="websocket", subprotocols=["bearer", guest_token()])
    assert await who.guest(offered) == replace(guest, subprotocol="bearer")


async def test_users_and_guests_are_never_taken_for_each_other() -> None:
    who = identity(ANN)
    with pytest.raises(Problem) as refused:
        await who.guest(connection(("Authorization", f"Bearer {token()}")))
    assert refused.value.status == 401
    assert (await refusal(who, ("Authorization", f"Bearer {guest_token()}"))).status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 401),
        ([("Authorization", "Bearer junk")], 401),
        ([("Authorization", f"Bearer {guest_token(NOW - 4000)}")], 401),
        ([("Authorization", "Bearer a"), ("Authorization", "Bearer b")], 400),
        ([("Authorization", f"Bearer {guest_token()}"), ("Origin", "http://evil.example")], 403),
        ([("Cookie", f"access_token={guest_token()}"), ("Sec-Fetch-Site", "cross-site")], 403),
    ],
)
async def test_a_guest_is_refused_by_the_rules_for_everybody(headers: list[tuple[str, str]], status: int) -> None:
    with pytest.raises(Problem) as refused:
        await identity().guest(connection(*headers))
    assert refused.value.status == status
