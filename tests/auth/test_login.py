"""What a login does between the question and the answer."""

import asyncio

import pytest
from argon2 import PasswordHasher

from auth.attempts import LocalLoginLimits
from auth.errors import Overloaded
from auth.keys import KeyRing
from auth.login import Granted, Limited, Login, WrongCredentials
from auth.passwords import Passwords
from auth.tokens import Issuer, TokenNames
from storage.errors import StorageUnavailable
from tests.auth.fakes import MemoryAccounts, MemoryKeys

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
DEAR = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
PASSWORD = "correct horse"


class World:
    """A login over memory, whose passwords are checked with `hasher`."""

    def __init__(self, hasher: PasswordHasher = CHEAP) -> None:
        self.accounts = MemoryAccounts()
        self.limits = LocalLoginLimits()
        self.passwords = Passwords(hasher)
        keys = KeyRing(MemoryKeys(), 60)
        self.told: list[str] = []
        issuer = Issuer(TokenNames(), 60)
        self.login = Login(self.accounts, self.passwords, self.limits, keys, issuer, self.told.append)

    async def register(self, hasher: PasswordHasher = CHEAP) -> None:
        await self.accounts.create("ann", hasher.hash(PASSWORD))

    async def attempt(self, password: str = PASSWORD, login: str = "ann") -> object:
        return await self.login.attempt(login, password, "10.0.0.1")


async def test_the_right_password_opens_and_a_wrong_one_does_not() -> None:
    world = World()
    await world.register()
    assert isinstance(await world.attempt(), Granted)
    assert await world.attempt("wrong horse") == WrongCredentials()
    assert await world.attempt(login="bob") == WrongCredentials()


async def test_an_outdated_hash_is_replaced_at_the_next_login() -> None:
    world = World(DEAR)
    await world.register(CHEAP)
    assert isinstance(await world.attempt(), Granted)
    assert not DEAR.check_needs_rehash(world.accounts.accounts["ann"].password_hash)
    assert isinstance(await world.attempt(), Granted)


async def test_a_hash_that_cannot_be_replaced_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> None:
        raise StorageUnavailable

    world = World(DEAR)
    await world.register(CHEAP)
    monkeypatch.setattr(world.accounts, "set_password_hash", refuse)
    assert isinstance(await world.attempt(), Granted)


@pytest.mark.parametrize("login", ["no\x00body", "a", "я" * 10, "' OR 1=1 --"])
async def test_what_can_be_no_login_is_never_looked_up_and_yet_verified(
    login: str, monkeypatch: pytest.MonkeyPatch
) -> None:
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


async def test_a_right_guess_among_too_many_that_were_sent_at_once_says_nothing() -> None:
    world = World()
    await world.register()
    guesses = [f"wrong horse {n}" for n in range(40)] + [PASSWORD]
    outcomes = await asyncio.gather(*(world.attempt(guess) for guess in guesses))
    assert isinstance(outcomes[-1], Limited), "the queue of the threads is served in order, so it came last"


async def test_a_limited_account_costs_no_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    while await world.attempt("wrong horse") == WrongCredentials():
        pass

    async def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(world.passwords, "verify", never)
    assert isinstance(await world.attempt(), Limited)


async def test_every_outcome_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    await world.register()
    await world.attempt()
    while await world.attempt("wrong horse") == WrongCredentials():
        pass
    assert world.told[0] == "granted"
    assert (set(world.told[1:-1]), world.told[-1]) == ({"wrong"}, "limited")
    for error, said in ((StorageUnavailable, "unavailable"), (Overloaded, "overloaded")):

        async def refuse(*_: object, error: type[Exception] = error) -> None:
            raise error

        monkeypatch.setattr(world.limits, "wait_s", refuse)
        with pytest.raises(error):
            await world.attempt()
        assert world.told[-1] == said


async def test_hashing_is_timed_and_what_is_under_way_is_known() -> None:
    took: list[float] = []
    passwords = Passwords(CHEAP, threads=1, on_hashed=took.append)
    both = [asyncio.ensure_future(passwords.hash(PASSWORD)) for _ in range(2)]
    await asyncio.sleep(0)
    assert passwords.under_way == 2
    await asyncio.gather(*both)
    assert (passwords.under_way, len(took)) == (0, 2)
    assert min(took) > 0
