"""Every kind of credential, and that none passes for another; and what a call without a good one is."""

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from auth.outside import OutsideVerifier
from auth.tokens import Issuer, TokenNames, Verifier
from gateway.bearers import Bearer, Bearers, Outside
from gateway.errors import RedisUnavailable
from gateway.identity import Anonymous, Caller, ForeignPage, Identity
from gateway.origins import Origins
from gateway.problems import Problem
from storage.accounts import Accounts
from storage.database import open_database
from storage.errors import StorageUnavailable
from storage.identities import Identities
from storage.migrate import migrate
from storage.records import Person
from tests.auth.forgery import new_key, public
from tests.auth.test_outside import NOW, RSA, SECRET, by_secret, token
from tests.gateway.memory_tickets import MemoryTickets
from tests.gateway.requests import connection

KEY = new_key()
UNTIL = int(time.time()) + 7200


class World:
    """Bearers over a real database, with an outside issuer beside our own."""

    def __init__(self, accounts: Accounts, identities: Identities, ann: Person) -> None:
        self.ann = ann
        self.tickets = MemoryTickets()
        self.down: set[str] = set()
        outside = OutsideVerifier(
            secret=SECRET, read_keys=self._outside, issuer="https://main.example", audience="chat"
        )
        self.bearers = Bearers(Verifier(self._ours), accounts, self.tickets, Outside(outside, identities))
        self.identity = Identity(self.bearers, Origins((), public_url="", is_development=False))

    async def _ours(self) -> Mapping[str, Any]:
        if "ours" in self.down:
            raise OSError
        return public(KEY)

    async def _outside(self) -> Mapping[str, Any]:
        if "outside" in self.down:
            raise OSError
        return {"keys": [RSA.as_dict(private=False)]}

    def token(self, lifetime_s: int = 7200) -> str:
        """One of ours."""
        return Issuer(TokenNames(), lifetime_s).issue(KEY, self.ann.id, self.ann.username)

    async def refusal(self, credential: str) -> Problem:
        """Why it opens nothing."""
        with pytest.raises(Problem) as refused:
            await self.bearers.user(credential)
        return refused.value


@pytest.fixture
async def world(sqlite_url: str) -> AsyncIterator[World]:
    await migrate(sqlite_url)
    async with open_database(sqlite_url) as database:
        accounts = Accounts(database)
        yield World(accounts, Identities(database), await accounts.create("ann", "hash"))


def bearing(credential: str, **more: Any) -> Any:
    return connection(("Authorization", f"Bearer {credential}"), **more)


async def test_our_tokens_work_beside_the_outside_issuers(world: World) -> None:
    assert (await world.bearers.user(world.token())).person == world.ann
    for credential in (by_secret(), token(RSA)):
        bearer = await world.bearers.user(credential)
        assert bearer.expires_at == NOW + 7200
        assert bearer.person.username.startswith("u-1:")
    people = [(await world.bearers.user(credential)).person for credential in (by_secret(), token(RSA))]
    assert people[0] == people[1] != world.ann


async def test_a_subject_from_outside_is_never_an_id_of_ours(world: World) -> None:
    for claims in ({"sub": str(world.ann.id)}, {"sub": "ann"}, {"sub": "x", "preferred_username": "ann"}):
        assert (await world.bearers.user(by_secret(**claims))).person.id != world.ann.id


async def test_the_outside_issuer_cannot_speak_in_our_name(world: World) -> None:
    ours = {"iss": "chat-gateway", "aud": "chat-gateway", "sub": str(world.ann.id), "username": "ann", "jti": "j"}
    for forged in (
        by_secret(**ours, iat=NOW),
        by_secret({"typ": "at+jwt", "kid": KEY.kid}, **ours, iat=NOW),
        token(RSA, {"typ": "at+jwt"}, **ours, iat=NOW),
    ):
        assert (await world.refusal(forged)).status == 401


async def test_without_an_outside_issuer_its_tokens_open_nothing(world: World) -> None:
    alone = Bearers(Verifier(world._ours), world.bearers._people, world.tickets)
    for credential in (by_secret(), token(RSA)):
        with pytest.raises(Problem) as refused:
            await alone.user(credential)
        assert refused.value.status == 401


async def test_a_ticket_stands_for_the_token_that_bought_it_once(world: World) -> None:
    ticket = await world.tickets.issue(world.ann.id, UNTIL)
    assert await world.bearers.user(ticket) == Bearer(world.ann, UNTIL)
    assert (await world.refusal(ticket)).status == 401


async def test_a_ticket_of_a_user_who_is_gone_is_nobodys(world: World) -> None:
    assert (await world.refusal(await world.tickets.issue(999, UNTIL))).status == 401


@pytest.mark.parametrize("where", ["header", "query", "cookie", "subprotocol"])
async def test_a_ticket_may_stand_wherever_a_token_may(world: World, where: str) -> None:
    ticket = await world.tickets.issue(world.ann.id, UNTIL)
    calls = {
        "header": bearing(ticket),
        "query": connection(query=[("token", ticket)]),
        "cookie": connection(("Cookie", f"access_token={ticket}")),
        "subprotocol": connection(kind="websocket", subprotocols=["bearer", ticket]),
    }
    subprotocol = "bearer" if where == "subprotocol" else None
    assert await world.identity.caller(calls[where]) == Caller(world.ann, UNTIL, subprotocol)


async def test_a_foreign_page_uses_up_nobodys_ticket(world: World) -> None:
    ticket = await world.tickets.issue(world.ann.id, UNTIL)
    for method in (world.identity.caller, world.identity.anyone):
        with pytest.raises(ForeignPage):
            await method(connection(("Origin", "http://evil.example"), query=[("token", ticket)]))
    assert (await world.identity.caller(connection(query=[("token", ticket)]))).person == world.ann


async def test_an_outage_of_the_outside_issuer_is_503_and_leaves_our_own_alone(world: World) -> None:
    world.down = {"outside"}
    problem = await world.refusal(token(RSA))
    assert (problem.status, problem.headers["Retry-After"]) == (503, "1")
    assert (await world.bearers.user(world.token())).person == world.ann
    assert (await world.bearers.user(by_secret())).person != world.ann


async def test_whoever_has_a_good_credential_is_known_where_anyone_may_come(world: World) -> None:
    assert await world.identity.anyone(bearing(world.token())) == await world.identity.caller(bearing(world.token()))
    outside = await world.identity.anyone(connection(query=[("token", by_secret())]))
    assert isinstance(outside, Caller)


async def test_a_bad_expired_or_missing_credential_is_nobodys_where_anyone_may_come(world: World) -> None:
    used = await world.tickets.issue(world.ann.id, UNTIL)
    await world.tickets.redeem(used)
    bad = ["junk", "a.b.c", world.token(-3600), by_secret(exp=NOW - 3600), used, by_secret(aud="another")]
    for credential in bad:
        assert await world.identity.anyone(connection(query=[("token", credential)])) == Anonymous(None)
        offered = connection(kind="websocket", subprotocols=["bearer", credential])
        assert await world.identity.anyone(offered) == Anonymous("bearer")
    assert await world.identity.anyone(connection()) == Anonymous(None)
    assert await world.identity.anyone(connection(kind="websocket", subprotocols=["bearer"])) == Anonymous("bearer")


async def test_a_foreign_page_may_not_come_anonymously_either(world: World) -> None:
    for headers in ([], [("Authorization", "Bearer junk")], [("Cookie", "access_token=junk")]):
        with pytest.raises(ForeignPage):
            await world.identity.anyone(connection(("Origin", "null"), *headers))


async def test_two_different_tokens_are_a_mistake_where_anyone_may_come_too(world: World) -> None:
    with pytest.raises(Problem) as refused:
        await world.identity.anyone(bearing("a", query=[("token", "b")]))
    assert refused.value.status == 400


async def test_nobody_becomes_anonymous_by_an_outage(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise StorageUnavailable

    world.down = {"ours", "outside"}
    for credential in (world.token(), token(RSA)):
        with pytest.raises(Problem) as refused:
            await world.identity.anyone(bearing(credential))
        assert refused.value.status == 503
    world.tickets.is_down = True
    with pytest.raises(RedisUnavailable):
        await world.identity.anyone(bearing(await world.tickets.issue(world.ann.id, UNTIL)))
    monkeypatch.setattr("storage.identities.Identities.person", away)
    with pytest.raises(StorageUnavailable):
        await world.identity.anyone(bearing(by_secret()))
