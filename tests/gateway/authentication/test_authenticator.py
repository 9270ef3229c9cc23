"""Authentication: from a token to a user."""

import time
from dataclasses import replace

import pytest

from auth.tokens.access_tokens import GuestIssuer, Issuer, TokenNames, Verifier
from auth.tokens.jws import LEEWAY_S
from gateway.authentication.authenticator import Authenticator, Guest
from gateway.authentication.credential_resolver import CredentialResolver
from gateway.authentication.origins import Origins
from gateway.http.problems import Problem
from httpapi.errors import FORBIDDEN_ORIGIN
from storage.errors import StorageUnavailable
from storage.records import Admission, ChatKind, ChatPosition, Member, Person, Role
from tests.auth.forgery import new_key, public
from tests.gateway.memory_tickets import MemoryTickets
from tests.gateway.no_revocations import NoRevocations
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


def identity_of(bearers: CredentialResolver) -> Authenticator:
    return Authenticator(bearers, Origins((), public_url="", is_development=False))


def identity(*people: Person | None) -> Authenticator:
    async def keys() -> dict[str, object]:
        return public(KEY)

    return identity_of(CredentialResolver(Verifier(keys, now=lambda: NOW), Few(*people), TICKETS, NoRevocations()))


def token(user: Person = ANN, lifetime_s: int = 7200) -> str:
    return Issuer(TokenNames(), lifetime_s, now=lambda: NOW).issue(KEY, user.id, user.username)


async def refusal(of: Authenticator, *headers: tuple[str, str]) -> Problem:
    with pytest.raises(Problem) as refused:
        await of.caller(connection(*headers))
    return refused.value


async def test_caller_is_the_stored_user_of_the_token() -> None:
    caller = await identity(ANN).caller(connection(kind="websocket", subprotocols=["bearer", token()]))
    assert (caller.person, caller.subprotocol) == (ANN, "bearer")
    assert caller.credential.expires_at == int(NOW) + 7200 + LEEWAY_S


async def test_token_of_missing_user_is_unauthorized() -> None:
    problem = await refusal(identity(), ("Authorization", f"Bearer {token()}"))
    assert (problem.status, problem.code) == (401, "unauthorized")


async def test_member_is_identified_by_admission_without_second_query() -> None:
    place = Admission(1, ChatKind.GROUP, Member(ANN, Role.MEMBER, read_seq=0), ChatPosition(5, 1), "e1")

    async def admit(user_id: int) -> Admission | None:
        return place if user_id == ANN.id else None

    resolver_only = identity(None)
    caller, admission = await resolver_only.member(connection(("Authorization", f"Bearer {token()}")), admit)
    assert (caller.person, caller.subprotocol, admission) == (ANN, None, place)
    assert caller.credential.expires_at == int(NOW) + 7200 + LEEWAY_S


@pytest.mark.parametrize(("people", "status"), [((ANN,), 403), ((), 401)], ids=["a stranger", "a user who is gone"])
async def test_non_member_gets_403_and_missing_user_401(people: tuple[Person, ...], status: int) -> None:
    async def admit(_: int) -> Admission | None:
        return None

    with pytest.raises(Problem) as refused:
        await identity(*people).member(connection(("Authorization", f"Bearer {token()}")), admit)
    assert refused.value.status == status


async def test_rejection_states_the_reason_without_the_token() -> None:
    expired = token(lifetime_s=-3600)
    problem = await refusal(identity(ANN), ("Authorization", f"Bearer {expired}"))
    assert problem.status == 401
    assert "expired" in problem.detail
    said = problem.detail + repr(problem) + str(problem.__cause__) + bytes(problem.response().body).decode()
    assert not [part for part in expired.split(".") if part in said]


async def test_foreign_page_is_rejected_before_token_check() -> None:
    for value in (token(), "junk"):
        headers = (("Origin", "http://evil.example"), ("Authorization", f"Bearer {value}"))
        assert (await refusal(identity(ANN), *headers)).code == FORBIDDEN_ORIGIN
    two = (("Origin", "http://evil.example"), ("Authorization", "Bearer a"), ("Authorization", "Bearer b"))
    assert (await refusal(identity(ANN), *two)).code == FORBIDDEN_ORIGIN


async def test_unreadable_keys_are_an_outage() -> None:
    async def keys() -> dict[str, object]:
        raise OSError

    unknown_user = identity_of(CredentialResolver(Verifier(keys), Few(ANN), TICKETS, NoRevocations()))
    problem = await refusal(unknown_user, ("Authorization", f"Bearer {token()}"))
    assert (problem.status, problem.code) == (503, "unavailable")
    assert problem.headers["Retry-After"] == "1"


async def test_unreachable_database_is_an_outage() -> None:
    with pytest.raises(StorageUnavailable):
        await identity(None).caller(connection(("Authorization", f"Bearer {token()}")))


GUEST = {"username": "user1", "email": "user1@example.com", "room_id": "room1"}


def guest_token(at: float = NOW) -> str:
    return GuestIssuer(TokenNames(), now=lambda: at).issue(KEY, **GUEST)


async def test_guest_is_identified_by_token_in_every_place() -> None:
    who = identity()
    guest = Guest(**GUEST, expires_at=int(NOW) + 3600 + LEEWAY_S, subprotocol=None)
    assert await who.guest(connection(("Authorization", f"Bearer {guest_token()}"))) == guest
    assert await who.guest(connection(query=[("token", guest_token())])) == guest
    offered = connection(kind="websocket", subprotocols=["bearer", guest_token()])
    assert await who.guest(offered) == replace(guest, subprotocol="bearer")


async def test_user_and_guest_tokens_are_not_interchangeable() -> None:
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
async def test_invalid_guest_connection_is_rejected_by_common_rules(
    headers: list[tuple[str, str]], status: int
) -> None:
    with pytest.raises(Problem) as refused:
        await identity().guest(connection(*headers))
    assert refused.value.status == status
