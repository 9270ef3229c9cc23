"""Login: verification, limits, rehashing and reported outcomes."""

import asyncio
from typing import Any

import pytest
from argon2 import PasswordHasher

from auth.accounts import login_limits
from auth.accounts.counters import LocalCounters
from auth.accounts.devices import Devices
from auth.accounts.login import Granted, Login, LoginOutcome
from auth.accounts.login_limits import PER_CLIENT, PER_CLIENT_AND_ACCOUNT, LoginLimits
from auth.accounts.password_check import AT_ONCE, WAITING_PER_CLIENT, Limited, PasswordCheck, WrongCredentials
from auth.accounts.passwords import Passwords
from auth.accounts.second_factor import SecondFactorCheck
from auth.accounts.sessions import Banned, Sessions
from auth.errors import Overloaded
from auth.tokens.access_tokens import DeviceIssuer, Issuer, TokenNames, Verifier
from auth.tokens.key_ring import KeyRing
from storage.errors import StorageUnavailable
from tests.auth.fakes import Clock, MemoryAccounts, MemoryKeys, MemorySessions

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
DEAR = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
PASSWORD = "correct horse"


class World:
    """A login over memory, whose passwords are checked with `hasher`."""

    def __init__(self, hasher: PasswordHasher = CHEAP) -> None:
        self.accounts = MemoryAccounts()
        self.limits = LoginLimits(LocalCounters())
        self.passwords = Passwords(hasher)
        keys, names = KeyRing(MemoryKeys(), 60), TokenNames()
        self.results: list[str] = []
        devices = Devices(keys, DeviceIssuer(names), Verifier(keys.jwks, names))
        self.sessions = MemorySessions(self.accounts, Clock())
        sessions = Sessions(self.sessions, keys, Issuer(names, 60), 3600)
        check = PasswordCheck(self.accounts, self.passwords, self.limits)
        factors = SecondFactorCheck(self.accounts.factors, LocalCounters())
        self.login = Login(self.accounts, check, factors, devices, sessions, self.results.append)

    async def register(self, hasher: PasswordHasher = CHEAP) -> None:
        await self.accounts.create("ann", hasher.hash(PASSWORD))

    async def attempt(
        self, password: str = PASSWORD, login: str = "ann", *, address: str = "10.0.0.1", device: str | None = None
    ) -> LoginOutcome:
        return await self.login.attempt(login, password, address, device)


async def test_login_with_right_password_is_granted_and_wrong_rejected() -> None:
    world = World()
    await world.register()
    assert isinstance(await world.attempt(), Granted)
    assert await world.attempt("wrong horse") == WrongCredentials()
    assert await world.attempt(login="bob") == WrongCredentials()


async def test_banned_user_with_right_password_gets_no_token() -> None:
    world = World()
    await world.register()
    world.sessions.banned.add(1)
    assert await world.attempt() == Banned()
    assert await world.attempt("wrong horse") == WrongCredentials()
    assert world.results == ["banned", "wrong"]


async def test_outdated_hash_is_replaced_at_next_login() -> None:
    world = World(DEAR)
    await world.register(CHEAP)
    assert isinstance(await world.attempt(), Granted)
    assert not DEAR.check_needs_rehash(world.accounts.accounts["ann"].password_hash)
    assert isinstance(await world.attempt(), Granted)


async def test_failed_hash_replacement_does_not_fail_login(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> None:
        raise StorageUnavailable

    world = World(DEAR)
    await world.register(CHEAP)
    monkeypatch.setattr(world.accounts, "replace_hash", refuse)
    assert isinstance(await world.attempt(), Granted)


@pytest.mark.parametrize("login", ["no\x00body", "a", "я" * 10, "' OR 1=1 --"])
async def test_invalid_login_is_verified_without_a_lookup(login: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    verified: list[str | None] = []
    verify = world.passwords.verify

    async def watched(password: str, stored: str | None) -> object:
        verified.append(stored)
        return await verify(password, stored)

    monkeypatch.setattr(world.passwords, "verify", watched)
    assert await world.attempt(login=login) == WrongCredentials()
    assert world.accounts.looked_up == []
    assert verified == [None]


async def test_right_guess_beyond_limit_is_limited_like_others() -> None:
    world = World()
    await world.register()
    guesses = [f"wrong horse {n}" for n in range(40)] + [PASSWORD]
    outcomes = await asyncio.gather(*(world.attempt(guess) for guess in guesses))
    assert isinstance(outcomes[-1], Limited), "the queue of the threads is served in order, so it came last"


async def test_limited_account_causes_no_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    while await world.attempt("wrong horse") == WrongCredentials():
        pass

    async def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(world.passwords, "verify", never)
    assert isinstance(await world.attempt(), Limited)


async def test_every_outcome_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    await world.register()
    await world.attempt()
    while await world.attempt("wrong horse") == WrongCredentials():
        pass
    assert world.results[0] == "granted"
    assert (set(world.results[1:-1]), world.results[-1]) == ({"wrong"}, "limited")
    for error, said in ((StorageUnavailable, "unavailable"), (Overloaded, "overloaded")):

        async def refuse(*_: object, error: type[Exception] = error) -> None:
            raise error

        monkeypatch.setattr(world.limits, "check", refuse)
        with pytest.raises(error):
            await world.attempt()
        assert world.results[-1] == said


async def test_hashing_is_timed_and_counted_while_under_way() -> None:
    took: list[float] = []
    passwords = Passwords(CHEAP, threads=1, on_hashed=took.append)
    both = [asyncio.ensure_future(passwords.hash(PASSWORD)) for _ in range(2)]
    await asyncio.sleep(0)
    assert passwords.under_way == 2
    await asyncio.gather(*both)
    assert (passwords.under_way, len(took)) == (0, 2)
    assert min(took) > 0


async def test_guesses_sent_at_once_cost_hardly_more_than_the_limit() -> None:
    world = World()
    hashed: list[float] = []
    world.passwords._on_hashed = hashed.append
    outcomes = await asyncio.gather(*(world.attempt("wrong horse", login=f"user{n}") for n in range(150)))
    assert outcomes.count(WrongCredentials()) == PER_CLIENT[0]
    assert len(hashed) < PER_CLIENT[0] + AT_ONCE


async def test_one_client_cannot_fill_the_queue_of_all() -> None:
    world = World()
    await world.register()
    guesses = [asyncio.ensure_future(world.attempt("wrong horse")) for _ in range(WAITING_PER_CLIENT + 50)]
    await asyncio.sleep(0)
    assert isinstance(await world.attempt(address="10.0.0.2"), Granted)
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(outcome, Overloaded) for outcome in outcomes) == 50


async def test_owner_gets_in_while_twenty_clients_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_limits, "DELAY_S", 0.01)
    world = World()
    await world.register()
    granted = await world.attempt()
    assert isinstance(granted, Granted)
    for client in range(20):
        for _ in range(PER_CLIENT_AND_ACCOUNT):
            assert await world.attempt("wrong horse", address=f"10.0.1.{client}") == WrongCredentials()
    assert isinstance(await world.attempt(address="10.9.9.9"), Granted), "from elsewhere, after a delay"
    monkeypatch.setattr(login_limits, "DELAY_S", 3600.0)
    known = await world.attempt(address="10.0.1.1", device=granted.device_token)
    assert isinstance(known, Granted), "a known device, at once, from an address that is refused to others"


async def test_device_token_of_another_login_is_no_known_device() -> None:
    world = World()
    await world.register()
    granted = await world.attempt()
    assert isinstance(granted, Granted)
    while await world.attempt("wrong horse", login="bob", device=granted.device_token) == WrongCredentials():
        pass
    assert isinstance(await world.attempt("wrong horse", login="bob", device=granted.tokens.access_token), Limited)
    assert isinstance(await world.attempt("wrong horse", login="bob", device="[" * 10_000), Limited)


async def test_password_changed_during_login_gives_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    await world.register()
    start = Sessions.start

    async def change_before(*args: Any, **more: Any) -> Any:
        (account,) = world.accounts.accounts.values()
        await world.accounts.replace_hash(1, account.password_hash, CHEAP.hash("battery staple"))
        return await start(*args, **more)

    monkeypatch.setattr(Sessions, "start", change_before)
    outcome = await world.login.attempt("ann", PASSWORD, "10.0.0.1", renewable=True)
    assert outcome == WrongCredentials()
    assert world.sessions.sessions == {}
    assert len(world.sessions.ended) == 1


async def test_outdated_hash_never_replaces_a_new_password(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(DEAR)
    await world.register(CHEAP)
    replace_hash = world.accounts.replace_hash

    async def change_before(user_id: int, replaced: str, password_hash: str) -> bool:
        await replace_hash(user_id, replaced, DEAR.hash("battery staple"))
        return await replace_hash(user_id, replaced, password_hash)

    monkeypatch.setattr(world.accounts, "replace_hash", change_before)
    assert await world.attempt() == WrongCredentials()
    assert isinstance(await world.attempt("battery staple"), Granted)


async def test_concurrent_logins_with_outdated_hash_are_granted() -> None:
    world = World(DEAR)
    await world.register(CHEAP)
    outcomes = await asyncio.gather(*(world.attempt() for _ in range(4)))
    assert [type(outcome) for outcome in outcomes] == [Granted] * 4
