"""What a failed login counts against: its client, its account, all; and what none of them costs the owner."""

import pytest

from auth.accounts.counters import LocalCounters
from auth.accounts.login_limits import (
    OVER_ALL,
    PER_ACCOUNT,
    PER_CLIENT,
    PER_CLIENT_AND_ACCOUNT,
    PER_DEVICE,
    Attempt,
    LoginLimits,
    LoginPermit,
    login_digest,
)

ALLOWED = LoginPermit(0.0)
DELAYED = LoginPermit(0.0, is_delayed=True)


@pytest.fixture
def limits() -> LoginLimits:
    return LoginLimits(LocalCounters())


async def is_refused(limits: LoginLimits, login: str, address: str) -> bool:
    return (await limits.check(Attempt(login, address))).wait_s > 0


async def test_client_is_refused_after_its_failures_of_one_account(limits: LoginLimits) -> None:
    waits = [await limits.fail(Attempt("ann", "10.0.0.1")) for _ in range(PER_CLIENT_AND_ACCOUNT + 1)]
    assert waits[:-1] == [0.0] * PER_CLIENT_AND_ACCOUNT
    assert 0 < waits[-1] <= 60
    assert await is_refused(limits, "ANN", "10.0.0.1")
    assert not await is_refused(limits, "bob", "10.0.0.1")


async def test_attacked_account_is_open_to_its_owner_from_elsewhere(limits: LoginLimits) -> None:
    for address in range(20):
        for _ in range(PER_CLIENT_AND_ACCOUNT):
            await limits.fail(Attempt("ann", f"10.0.1.{address}"))
    assert await limits.check(Attempt("ann", "10.9.9.9")) == DELAYED
    assert await limits.check(Attempt("ann", "10.0.1.1", device="known")) == ALLOWED


async def test_client_is_refused_at_its_20th_failure_of_any_account(limits: LoginLimits) -> None:
    waits = [await limits.fail(Attempt(f"user{n}", "10.0.0.1")) for n in range(20)]
    assert waits[: PER_CLIENT[0]] == [0.0] * 19
    assert 0 < waits[19] <= 60
    assert not await is_refused(limits, "user1", "10.0.0.2")


@pytest.mark.parametrize(
    ("pattern", "most", "same", "other"),
    [
        ("2001:db8:0:1::{:x}", 19, "2001:db8:0:1:ffff::1", "2001:db8:0:2::1"),
        ("2001:db8:0:1{:02x}::1", 24, "2001:db8:0:1ff::1", "2001:db8:0:2ff::1"),
        ("2001:db8:0:{:x}00::1", 36, "2001:db8:0:ffff::1", "2001:db8:1::1"),
    ],
)
async def test_ipv6_client_is_limited_with_its_network(
    limits: LoginLimits, pattern: str, most: int, same: str, other: str
) -> None:
    for n in range(most):
        assert await limits.fail(Attempt(f"user{n}", pattern.format(n))) == 0.0
    assert await is_refused(limits, "another", same)
    assert not await is_refused(limits, "another", other)


async def test_strangers_are_delayed_while_many_accounts_are_tried(limits: LoginLimits) -> None:
    for n in range(OVER_ALL):
        await limits.fail(Attempt(f"user{n}", f"10.0.{n}.1"))
    assert await limits.check(Attempt("ann", "10.9.9.9")) == DELAYED
    assert await limits.check(Attempt("ann", "10.9.9.9", device="known")) == ALLOWED


async def test_account_is_delayed_only_after_its_limit(limits: LoginLimits) -> None:
    for n in range(PER_ACCOUNT):
        assert await limits.check(Attempt("ann", "10.9.9.9")) == ALLOWED
        await limits.fail(Attempt("ann", f"10.0.0.{n}"))
    assert await limits.check(Attempt("ann", "10.9.9.9")) == DELAYED


async def test_known_device_has_a_limit_of_its_own(limits: LoginLimits) -> None:
    attempt = Attempt("ann", "10.0.0.1", device="phone")
    waits = [await limits.fail(attempt) for _ in range(PER_DEVICE + 1)]
    assert waits[:-1] == [0.0] * PER_DEVICE
    assert waits[-1] > 0
    assert not await is_refused(limits, "ann", "10.0.0.1"), "its failures count against no one else"


async def test_any_text_is_limited_like_a_login(limits: LoginLimits) -> None:
    strange = Attempt("x" * 10_000 + "é\x00\n\ud800", "unknown")
    for _ in range(PER_CLIENT_AND_ACCOUNT):
        await limits.fail(strange)
    assert (await limits.check(strange)).wait_s > 0


def test_digest_hides_the_login_and_has_a_fixed_size() -> None:
    assert len(login_digest("secret-login" * 1000)) == 32
    assert "secret" not in login_digest("secret-login")
