"""Registrations are limited by client before a password is hashed."""

import pytest
from argon2 import PasswordHasher

from auth.accounts.counters import LocalCounters
from auth.accounts.login import Limited
from auth.accounts.passwords import Passwords
from auth.accounts.registration import Registration
from auth.accounts.registration_limits import PER_HOUR, RegistrationLimits
from auth.errors import Overloaded
from storage.errors import LoginTaken
from storage.records import Person
from tests.auth.fakes import Clock, MemoryAccounts

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PER_MINUTE = 3


class World:
    """Registration over memory; `hashed` has an element for each password that was hashed."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.hashed: list[float] = []
        passwords = Passwords(CHEAP, on_hashed=self.hashed.append)
        limits = RegistrationLimits(LocalCounters(self.clock.unix), PER_MINUTE)
        self.registration = Registration(MemoryAccounts(), passwords, limits)

    async def register(self, login: str, address: str = "10.0.0.1") -> object:
        return await self.registration.register(login, "correct horse", "", "", address)


async def test_client_beyond_minute_limit_is_rejected_without_hashing() -> None:
    world = World()
    for n in range(PER_MINUTE):
        assert isinstance(await world.register(f"user{n}"), Person)
    assert isinstance(await world.register("one-more"), Limited)
    assert len(world.hashed) == PER_MINUTE
    assert isinstance(await world.register("other", "10.0.0.2"), Person)
    world.clock.advance(60)
    assert isinstance(await world.register("one-more"), Person)


async def test_probes_of_a_taken_login_are_limited() -> None:
    world = World()
    await world.register("ann")
    for _ in range(PER_MINUTE - 1):
        with pytest.raises(LoginTaken):
            await world.register("ann")
    assert isinstance(await world.register("ann"), Limited)


async def test_client_is_rejected_beyond_its_hourly_limit() -> None:
    world = World()
    for n in range(PER_MINUTE * PER_HOUR):
        assert isinstance(await world.register(f"user{n}"), Person)
        world.clock.advance(30)
    refused = await world.register("one-more")
    assert isinstance(refused, Limited)
    assert refused.wait_s > 60


@pytest.mark.parametrize(("pattern", "most"), [("2001:db8:0:1{:02x}::1", 6), ("2001:db8:0:{:x}00::1", 12)])
async def test_ipv6_networks_are_limited_as_wholes(pattern: str, most: int) -> None:
    world = World()
    for n in range(most):
        assert isinstance(await world.register(f"user{n}", pattern.format(n)), Person)
    assert isinstance(await world.register("one-more", pattern.format(most)), Limited)


async def test_broken_rules_count_nothing() -> None:
    world = World()
    for _ in range(PER_MINUTE + 1):
        assert isinstance(await world.register("no login!"), list)
    assert isinstance(await world.register("ann"), Person)


async def test_full_queue_of_registrations_is_overload() -> None:
    world = World()
    world.registration._passwords = Passwords(CHEAP, threads=1, waiting=0)
    world.registration._passwords._workers._places.acquire()
    with pytest.raises(Overloaded):
        await world.register("ann")
