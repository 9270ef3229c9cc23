"""What callers can cause is bounded, counted, and summarised."""

import pytest

from httpapi.audit.events import Event, Result
from httpapi.audit.sampling import (
    ACTS,
    ACTS_OF_CALLER,
    CALLS_OF_SERVICE,
    CHANGES_OF_SERVICE,
    REFUSALS,
    REFUSALS_OF_ADDRESS,
    WINDOW_S,
    Sampler,
    Summary,
)


class Clock:
    """Seconds that a test sets."""

    seconds = 100.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sampler(clock: Clock) -> Sampler:
    return Sampler(lambda: clock.seconds)


def admitted(
    sampler: Sampler,
    number: int,
    event: Event,
    result: Result,
    actor: str = "anonymous",
    *,
    operation: str = "",
    address: str = "",
) -> int:
    """How many of a number of equal events are recorded one by one."""
    return sum(sampler.admits(event, result, actor, operation, lambda: address) for _ in range(number))


def test_refusals_of_an_address_are_sampled(sampler: Sampler) -> None:
    login = (Event.LOGIN, Result.DENIED)
    assert admitted(sampler, 50, *login, address="203.0.113.9") == REFUSALS_OF_ADDRESS
    assert admitted(sampler, 50, *login, address="203.0.113.8") == REFUSALS_OF_ADDRESS
    assert admitted(sampler, 50, Event.REQUEST_REFUSED, Result.DENIED, address="203.0.113.9") == REFUSALS_OF_ADDRESS
    of_network = [admitted(sampler, 1, *login, address=f"2001:db8::{number}") for number in range(1, 50)]
    assert sum(of_network) == REFUSALS_OF_ADDRESS


def test_refusals_of_an_event_are_bounded_over_addresses(sampler: Sampler) -> None:
    addresses = [f"10.1.{number // 250}.{number % 250}" for number in range(2000)]
    taken = [admitted(sampler, 1, Event.LOGIN, Result.DENIED, address=address) for address in addresses]
    assert sum(taken) == REFUSALS
    assert len(sampler._recorded) <= REFUSALS + 1
    expected = Summary(Event.LOGIN, Result.DENIED, "several", "")
    assert list(sampler.summaries(is_last=True)) == [(expected, 2000 - REFUSALS)]


def test_acts_of_users_are_bounded_by_caller_and_event(sampler: Sampler) -> None:
    assert admitted(sampler, 500, Event.CHAT_CREATED, Result.OK, "user:1") == ACTS_OF_CALLER
    others = sum(admitted(sampler, 200, Event.CHAT_CREATED, Result.OK, f"user:{user}") for user in range(2, 100))
    assert others == ACTS - ACTS_OF_CALLER


def test_changes_by_services_have_a_limit_of_their_own(sampler: Sampler) -> None:
    change = (Event.USER_BANNED, Result.OK)
    assert admitted(sampler, 9000, *change, "service:bank", operation="PUT") == CHANGES_OF_SERVICE
    assert admitted(sampler, 200, *change, "service:shop") == 200
    assert admitted(sampler, 200, Event.KEY_ROTATED, Result.OK, "operator") == 200
    expected = Summary(*change, "service:bank", "PUT")
    assert list(sampler.summaries(is_last=True)) == [(expected, 9000 - CHANGES_OF_SERVICE)]
    assert admitted(sampler, 200, Event.USER_BANNED, Result.DENIED, "service:bank") == REFUSALS_OF_ADDRESS


def test_other_calls_of_a_service_are_counted_by_operation(sampler: Sampler) -> None:
    for operation in ("POST /message", "GET /a"):
        taken = admitted(sampler, 100, Event.SERVICE_CALL, Result.OK, "service:bank", operation=operation)
        assert taken == CALLS_OF_SERVICE
    assert admitted(sampler, 70, Event.AUDIT_READ, Result.OK, "service:bank") == CALLS_OF_SERVICE
    assert dict(sampler.summaries(is_last=True)) == {
        Summary(Event.AUDIT_READ, Result.OK, "service:bank", ""): 10,
        Summary(Event.SERVICE_CALL, Result.OK, "service:bank", "POST /message"): 40,
        Summary(Event.SERVICE_CALL, Result.OK, "service:bank", "GET /a"): 40,
    }


def test_new_window_admits_again_and_summarises_once(sampler: Sampler, clock: Clock) -> None:
    assert admitted(sampler, 15, Event.LOGIN, Result.DENIED) == REFUSALS_OF_ADDRESS
    assert list(sampler.summaries()) == []
    clock.seconds += WINDOW_S
    assert [count for _, count in sampler.summaries()] == [5]
    assert list(sampler.summaries()) == []
    assert admitted(sampler, 15, Event.LOGIN, Result.DENIED) == REFUSALS_OF_ADDRESS
