"""Logins that are renewed and ended, over memory and a hand-moved clock."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from auth.accounts.sessions import GRACE_S, Banned, Ended, Sessions, Tokens
from auth.tokens.access_tokens import Claims, Issuer, TokenNames, Verifier
from auth.tokens.jws import LEEWAY_S
from auth.tokens.key_ring import KeyRing
from storage.records import Person
from tests.auth.fakes import Clock, MemoryAccounts, MemoryKeys, MemorySessions

ACCESS_S, REFRESH_S, LONGEST_S = 60, 3600, 36_000


class World:
    """Sessions of one user, Ann."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.accounts = MemoryAccounts()
        self.store = MemorySessions(self.accounts, self.clock)
        keys, names = KeyRing(MemoryKeys(), ACCESS_S), TokenNames()
        issuer = Issuer(names, ACCESS_S, self.clock.unix)
        self.verifier = Verifier(keys.jwks, names, now=self.clock.unix)
        self.results: list[str] = []
        self.sessions = Sessions(
            self.store, keys, issuer, REFRESH_S, self.results.append, self.clock.unix, longest_s=LONGEST_S
        )

    async def log_in(self) -> Tokens:
        ann = await self.person()
        tokens = await self.sessions.start(ann, renewable=True)
        assert isinstance(tokens, Tokens)
        return tokens

    async def person(self) -> Person:
        account = await self.accounts.by_login("ann")
        return account.person if account else await self.accounts.create("ann", "hash")

    async def refresh(self, token: str) -> Tokens:
        tokens = await self.sessions.refresh(token)
        assert isinstance(tokens, Tokens)
        return tokens

    async def claims(self, tokens: Tokens) -> Claims:
        return await self.verifier.verify(tokens.access_token)


@pytest.fixture
def world() -> World:
    return World()


async def test_renewals_replace_the_refresh_token(world: World) -> None:
    tokens = await world.log_in()
    session_id = (await world.claims(tokens)).session_id
    seen = {tokens.refresh_token}
    for _ in range(3):
        world.clock.advance(REFRESH_S - 1)
        tokens = await world.refresh(tokens.refresh_token)
        seen.add(tokens.refresh_token)
        assert (await world.claims(tokens)).session_id == session_id
        assert (tokens.expires_in_s, tokens.refresh_expires_in_s) == (ACCESS_S, REFRESH_S)
    assert len(seen) == 4
    assert world.results == ["granted"] * 3


async def test_refresh_token_lasts_in_full_however_slow_the_store_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("add", "rotate", "earliest_iat"):
        monkeypatch.setattr(world.store, name, slow(getattr(world.store, name), world.clock))
    tokens = await world.log_in()
    renewed = await world.refresh(tokens.refresh_token)
    assert (tokens.refresh_expires_in_s, renewed.refresh_expires_in_s) == (REFRESH_S, REFRESH_S)


def slow(method: Callable[..., Awaitable[Any]], clock: Clock) -> Callable[..., Awaitable[Any]]:
    """It, taking a second and a half."""

    async def call(*args: object, **names: object) -> Any:
        clock.advance(1.5)
        return await method(*args, **names)

    return call


async def test_login_without_renewal_has_no_session(world: World) -> None:
    tokens = await world.sessions.start(await world.person(), renewable=False)
    assert isinstance(tokens, Tokens)
    assert (tokens.refresh_token, (await world.claims(tokens)).session_id, world.store.sessions) == ("", "", {})
    assert (await world.claims(tokens)).authenticated_at == int(world.clock.unix())


async def test_renewed_token_keeps_the_time_of_its_login(world: World) -> None:
    tokens, logged_in_at = await world.log_in(), int(world.clock.unix())
    for _ in range(2):
        assert (await world.claims(tokens)).authenticated_at == logged_in_at
        world.clock.advance(ACCESS_S)
        tokens = await world.refresh(tokens.refresh_token)
    assert (await world.claims(tokens)).authenticated_at == logged_in_at


async def test_repetition_within_grace_gets_the_same_successor(world: World) -> None:
    first = await world.log_in()
    second = await world.refresh(first.refresh_token)
    world.clock.advance(GRACE_S)
    assert (await world.refresh(first.refresh_token)).refresh_token == second.refresh_token
    third = await world.refresh(second.refresh_token)
    assert third.refresh_token not in (first.refresh_token, second.refresh_token)


@pytest.mark.parametrize("is_two_behind", [True, False])
async def test_later_use_of_an_earlier_token_ends_the_session(world: World, is_two_behind: bool) -> None:
    first = await world.log_in()
    latest = await world.refresh(first.refresh_token)
    if is_two_behind:
        latest = await world.refresh(latest.refresh_token)
    else:
        world.clock.advance(GRACE_S + 1)
    session_id = (await world.claims(latest)).session_id
    assert await world.sessions.refresh(first.refresh_token) == Ended()
    assert await world.sessions.refresh(latest.refresh_token) == Ended()
    assert world.store.ended == [(1, session_id, world.clock.seconds + ACCESS_S + LEEWAY_S)]
    assert world.results[-2:] == ["reused", "ended"]


async def test_session_ends_when_it_is_not_renewed(world: World) -> None:
    tokens = await world.log_in()
    world.clock.advance(REFRESH_S)
    assert await world.sessions.refresh(tokens.refresh_token) == Ended()
    assert world.store.sessions == {}


async def test_session_ends_however_often_it_is_renewed(world: World) -> None:
    tokens = await world.log_in()
    for _ in range(LONGEST_S // REFRESH_S * 2 - 1):
        world.clock.advance(REFRESH_S // 2)
        tokens = await world.refresh(tokens.refresh_token)
    assert tokens.refresh_expires_in_s == REFRESH_S // 2, "until the end of the session"
    assert [each.expires_at for each in await world.sessions.of_user(1)] == [world.clock.seconds + REFRESH_S // 2]
    world.clock.advance(REFRESH_S // 2)
    assert await world.sessions.of_user(1) == []
    assert await world.sessions.refresh(tokens.refresh_token) == Ended()
    assert world.results[-1] == "ended"


async def test_session_of_before_a_shorter_limit_ends_too(world: World) -> None:
    tokens = await world.log_in()
    ((session_id, session),) = world.store.sessions.items()
    world.store.sessions[session_id] = replace(session, created_at=session.created_at - LONGEST_S)
    assert await world.sessions.of_user(1) == []
    assert await world.sessions.refresh(tokens.refresh_token) == Ended()


async def test_logout_ends_session_by_either_token(world: World) -> None:
    by_refresh, by_access, other = await world.log_in(), await world.log_in(), await world.log_in()
    await world.sessions.end(by_refresh.refresh_token)
    await world.sessions.end_by_access(await world.claims(by_access))
    for ended in (by_refresh, by_access):
        assert await world.sessions.refresh(ended.refresh_token) == Ended()
    await world.refresh(other.refresh_token)
    assert len(world.store.ended) == 2


async def test_logout_without_session_revokes_the_token(world: World) -> None:
    tokens = await world.sessions.start(await world.person(), renewable=False)
    assert isinstance(tokens, Tokens)
    claims = await world.claims(tokens)
    await world.sessions.end_by_access(claims)
    assert world.store.revoked == [claims.jti]


async def test_login_right_after_logout_everywhere_is_valid(world: World) -> None:
    tokens = await world.log_in()
    assert await world.sessions.user_of(tokens.refresh_token) == 1
    await world.sessions.end_all(1)
    assert await world.sessions.refresh(tokens.refresh_token) == Ended()
    again = await world.log_in()
    assert (await world.claims(again)).issued_at >= await world.store.earliest_iat(1)
    await world.refresh(again.refresh_token)


async def test_revocation_by_a_service_ends_earlier_sessions(world: World) -> None:
    tokens = await world.log_in()
    world.store.earliest[1] = int(world.clock.seconds) + 1
    assert await world.sessions.refresh(tokens.refresh_token) == Ended()


async def test_token_renewed_during_logout_everywhere_is_revoked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = await world.log_in()
    rotate = world.store.rotate

    async def rotate_and_end_all(*arguments: Any) -> bool:
        done = await rotate(*arguments)
        await world.store.end_all(1)
        return done

    monkeypatch.setattr(world.store, "rotate", rotate_and_end_all)
    renewed = await world.refresh(tokens.refresh_token)
    assert not await world.sessions.is_in_effect(await world.claims(renewed))


async def test_banned_user_gets_no_tokens(world: World) -> None:
    tokens = await world.log_in()
    world.store.banned.add(1)
    assert await world.sessions.refresh(tokens.refresh_token) == Banned()
    assert await world.sessions.start(await world.person(), renewable=True) == Banned()
    world.store.banned.clear()
    await world.refresh(tokens.refresh_token)


@pytest.mark.parametrize("token", ["", "x", "rt_", "rt_" + "0" * 32 + "_" + "a" * 43, "rt_" * 100_000, "\0", "é"])
async def test_unknown_token_is_an_ended_session(world: World, token: str) -> None:
    await world.log_in()
    assert await world.sessions.refresh(token) == Ended()
    assert await world.sessions.user_of(token) is None
    await world.sessions.end(token)
    assert len(world.store.sessions) == 1


async def test_guess_at_a_known_session_does_not_log_it_out(world: World) -> None:
    tokens = await world.log_in()
    guess = tokens.refresh_token[:-4] + "AAAA"
    await world.sessions.end(guess)
    assert await world.sessions.user_of(guess) is None
    assert len(world.store.sessions) == 1
