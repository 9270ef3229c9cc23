"""Every kind of credential, their separation, and calls without a valid one."""

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from auth.tokens.access_tokens import Issuer, TokenNames, Verifier
from auth.tokens.external_issuer import ExternalIssuerVerifier
from auth.tokens.jws import LEEWAY_S
from gateway.authentication.authenticator import Anonymous, Authenticator, Caller
from gateway.authentication.credential_resolver import CredentialResolver, ExternalIssuer, Principal
from gateway.authentication.origins import Origins
from gateway.errors import RedisUnavailable
from gateway.http.problems import Problem, unavailable
from gateway.protocol.codes import Close, Disconnect
from httpapi.errors import FORBIDDEN_ORIGIN
from storage.auth_records import Credential, name_digest
from storage.database.database import open_database
from storage.errors import StorageUnavailable
from storage.records import Person
from storage.repositories.auth.accounts import Accounts
from storage.repositories.identities import Identities
from tests.auth.forgery import new_key, public
from tests.gateway.memory_tickets import MemoryTickets
from tests.gateway.no_revocations import NoRevocations
from tests.gateway.requests import connection
from tests.support.external_tokens import NOW, RSA, SECRET, by_secret, token
from tests.support.migrated import make_store

KEY = new_key()
UNTIL = int(time.time()) + 7200


class World:
    """Bearers over a real database, with an external issuer beside our own."""

    def __init__(self, accounts: Accounts, identities: Identities, ann: Person) -> None:
        self.ann = ann
        self.tickets = MemoryTickets()
        self.revocations = NoRevocations()
        self.down: set[str] = set()
        outside = ExternalIssuerVerifier(
            secret=SECRET, read_keys=self._outside, issuer="https://main.example", audience="chat"
        )
        self.bearers = CredentialResolver(
            Verifier(self._ours), accounts, self.tickets, self.revocations, ExternalIssuer(outside, identities)
        )
        self.identity = Authenticator(self.bearers, Origins((), public_url="", is_development=False))

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
    await make_store(sqlite_url)
    async with open_database(sqlite_url) as database:
        accounts = Accounts(database)
        yield World(accounts, Identities(database), await accounts.create("ann", "hash"))


def bearing(credential: str, **more: Any) -> Any:
    return connection(("Authorization", f"Bearer {credential}"), **more)


async def test_own_and_external_tokens_both_work(world: World) -> None:
    assert (await world.bearers.user(world.token())).person == world.ann
    for credential in (by_secret(), token(RSA)):
        bearer = await world.bearers.user(credential)
        assert bearer.credential.expires_at == NOW + 7200 + LEEWAY_S
        assert bearer.person.username.startswith("u-1:")
    people = [(await world.bearers.user(credential)).person for credential in (by_secret(), token(RSA))]
    assert people[0] == people[1] != world.ann


async def test_external_subject_is_never_a_local_user_id(world: World) -> None:
    for claims in ({"sub": str(world.ann.id)}, {"sub": "ann"}, {"sub": "x", "preferred_username": "ann"}):
        assert (await world.bearers.user(by_secret(**claims))).person.id != world.ann.id


async def test_external_issuer_cannot_issue_local_tokens(world: World) -> None:
    ours = {"iss": "chat-gateway", "aud": "chat-gateway", "sub": str(world.ann.id), "username": "ann", "jti": "j"}
    for forged in (
        by_secret(**ours, iat=NOW),
        by_secret({"typ": "at+jwt", "kid": KEY.kid}, **ours, iat=NOW),
        token(RSA, {"typ": "at+jwt"}, **ours, iat=NOW),
    ):
        assert (await world.refusal(forged)).status == 401


async def test_external_token_without_configured_issuer_is_rejected(world: World) -> None:
    alone = CredentialResolver(Verifier(world._ours), world.bearers._people, world.tickets, world.revocations)
    for credential in (by_secret(), token(RSA)):
        with pytest.raises(Problem) as refused:
            await alone.user(credential)
        assert refused.value.status == 401


async def test_rejected_caller_is_neither_read_nor_stored(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    callers: list[int | None] = []

    async def reject(_: object, user_id: int | None) -> None:
        callers.append(user_id)
        raise unavailable()

    async def queried(*_: object) -> None:
        raise AssertionError("a query")

    assert world.bearers._outside is not None
    monkeypatch.setattr(world.bearers._people, "by_id", queried)
    monkeypatch.setattr(world.bearers._outside.identities, "person", queried)
    identity = Authenticator(world.bearers, world.identity._origins, reject)
    for credential in (world.token(), by_secret()):
        for call in (identity.caller(bearing(credential)), identity.member(bearing(credential), queried)):
            with pytest.raises(Problem) as refused:
                await call
            assert refused.value.status == 503
    with pytest.raises(Problem):
        await identity.anyone(connection())
    assert callers == [world.ann.id, world.ann.id, None, None, None]


async def test_ticket_replaces_its_token_once(world: World) -> None:
    ticket = await world.tickets.issue(Credential(world.ann.id, UNTIL))
    assert await world.bearers.user(ticket) == Principal(world.ann, Credential(world.ann.id, UNTIL))
    assert (await world.refusal(ticket)).status == 401


async def test_ticket_of_missing_user_is_rejected(world: World) -> None:
    assert (await world.refusal(await world.tickets.issue(Credential(999, UNTIL)))).status == 401


@pytest.mark.parametrize("where", ["header", "query", "cookie", "subprotocol"])
async def test_ticket_is_accepted_in_every_place_of_a_token(world: World, where: str) -> None:
    ticket = await world.tickets.issue(Credential(world.ann.id, UNTIL))
    calls = {
        "header": bearing(ticket),
        "query": connection(query=[("token", ticket)]),
        "cookie": connection(("Cookie", f"access_token={ticket}")),
        "subprotocol": connection(kind="websocket", subprotocols=["bearer", ticket]),
    }
    subprotocol = "bearer" if where == "subprotocol" else None
    assert await world.identity.caller(calls[where]) == Caller(world.ann, Credential(world.ann.id, UNTIL), subprotocol)


async def test_first_valid_of_several_cookies_counts(world: World) -> None:
    good, other = world.token(), by_secret()
    for cookies in (["junk", good], [world.token(-3600), "junk", good, other], [good, other]):
        header = ("Cookie", "; ".join(f"access_token={token}" for token in cookies))
        assert (await world.identity.caller(connection(header))).person == world.ann
        known = await world.identity.anyone(connection(header))
        assert isinstance(known, Caller)
        assert known.person == world.ann
    for cookies in (["junk", "more"], ["junk"] * 100 + [good], [f"j{n}" for n in range(100)]):
        header = ("Cookie", "; ".join(f"access_token={token}" for token in cookies))
        if good in cookies:
            assert (await world.identity.caller(connection(header))).person == world.ann  # equal ones are one
        else:
            with pytest.raises(Problem) as refused:
                await world.identity.caller(connection(header))
            assert refused.value.status == 401


async def test_outage_for_one_cookie_is_503_despite_later_valid_cookie(world: World) -> None:
    world.down = {"outside"}
    header = ("Cookie", f"access_token={token(RSA)}; access_token={world.token()}")
    with pytest.raises(Problem) as refused:
        await world.identity.caller(connection(header))
    assert refused.value.status == 503


async def test_foreign_page_does_not_consume_a_ticket(world: World) -> None:
    ticket = await world.tickets.issue(Credential(world.ann.id, UNTIL))
    for method in (world.identity.caller, world.identity.anyone):
        with pytest.raises(Problem, match=FORBIDDEN_ORIGIN):
            await method(connection(("Origin", "http://evil.example"), query=[("token", ticket)]))
    assert (await world.identity.caller(connection(query=[("token", ticket)]))).person == world.ann


async def test_external_issuer_outage_is_503_for_its_tokens_only(world: World) -> None:
    world.down = {"outside"}
    problem = await world.refusal(token(RSA))
    assert (problem.status, problem.headers["Retry-After"]) == (503, "1")
    assert (await world.bearers.user(world.token())).person == world.ann
    assert (await world.bearers.user(by_secret())).person != world.ann


async def test_valid_credential_is_identified_with_optional_login(world: World) -> None:
    request = bearing(world.token())
    assert await world.identity.anyone(request) == await world.identity.caller(request)
    outside = await world.identity.anyone(connection(query=[("token", by_secret())]))
    assert isinstance(outside, Caller)


async def test_invalid_credential_is_anonymous_with_optional_login(world: World) -> None:
    used = await world.tickets.issue(Credential(world.ann.id, UNTIL))
    await world.tickets.redeem(used)
    bad = ["junk", "a.b.c", world.token(-3600), by_secret(exp=NOW - 3600), used, by_secret(aud="another")]
    for credential in bad:
        assert await world.identity.anyone(connection(query=[("token", credential)])) == Anonymous(None)
        offered = connection(kind="websocket", subprotocols=["bearer", credential])
        assert await world.identity.anyone(offered) == Anonymous("bearer")
    assert await world.identity.anyone(connection()) == Anonymous(None)
    assert await world.identity.anyone(connection(kind="websocket", subprotocols=["bearer"])) == Anonymous("bearer")


async def test_foreign_page_is_rejected_with_optional_login(world: World) -> None:
    for headers in ([], [("Authorization", "Bearer junk")], [("Cookie", "access_token=junk")]):
        with pytest.raises(Problem, match=FORBIDDEN_ORIGIN):
            await world.identity.anyone(connection(("Origin", "null"), *headers))


async def test_two_different_tokens_are_rejected_with_optional_login(world: World) -> None:
    with pytest.raises(Problem) as refused:
        await world.identity.anyone(bearing("a", query=[("token", "b")]))
    assert refused.value.status == 400


async def test_outage_is_reported_and_not_anonymous(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise StorageUnavailable

    world.down = {"ours", "outside"}
    for credential in (world.token(), token(RSA)):
        with pytest.raises(Problem) as refused:
            await world.identity.anyone(bearing(credential))
        assert refused.value.status == 503
    world.tickets.is_down = True
    with pytest.raises(RedisUnavailable):
        await world.identity.anyone(bearing(await world.tickets.issue(Credential(world.ann.id, UNTIL))))
    monkeypatch.setattr("storage.repositories.identities.Identities.person", away)
    with pytest.raises(StorageUnavailable):
        await world.identity.anyone(bearing(by_secret()))


REVOKED = Disconnect(Close.UNAUTHORIZED, "the token was revoked")
BANNED = Disconnect(Close.BANNED, "you are banned")


@pytest.mark.parametrize(("refused", "status", "code"), [(REVOKED, 401, "unauthorized"), (BANNED, 403, "banned")])
async def test_revoked_credential_of_any_kind_is_rejected(
    world: World, refused: Disconnect, status: int, code: str
) -> None:
    ticket = await world.tickets.issue(Credential(world.ann.id, UNTIL))
    world.revocations.refused = refused
    for credential in (world.token(), by_secret(), token(RSA), ticket):
        problem = await world.refusal(credential)
        assert (problem.status, problem.code) == (status, code)


async def test_credential_has_the_claims_by_which_it_is_revoked(world: World) -> None:
    ours = (await world.bearers.user(world.token())).credential
    assert ours.user_id == world.ann.id
    assert abs(ours.issued_at - time.time()) < 60
    assert len(ours.jti_digest) == 64
    outside = (await world.bearers.user(by_secret(iat=NOW - 5, jti="x"))).credential
    assert (outside.issued_at, outside.jti_digest) == (NOW - 5, name_digest("x"))
    bare = (await world.bearers.user(by_secret())).credential
    assert (bare.issued_at, bare.jti_digest) == (0, "")
