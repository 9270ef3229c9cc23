"""What clients can cause is bounded, counted, and summarised; what services change is always recorded."""

from typing import Any

import pytest

from httpapi.audit.events import Event, Result
from httpapi.audit.sampling import (
    ACTS,
    ACTS_OF_CALLER,
    CALLS_OF_SERVICE,
    REFUSALS,
    REFUSALS_OF_ADDRESS,
    WINDOW_S,
    Sampler,
    Summary,
)
from storage.audit_entry import AuditEntry


class Clock:
    """Seconds that a test sets."""

    seconds = 100.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sampler(clock: Clock) -> Sampler:
    return Sampler(lambda: clock.seconds)


def entry(event: Event, result: Result, actor: str = "anonymous", **fields: Any) -> AuditEntry:
    return AuditEntry("u", 0, event.value, result.value, actor, **fields)


def admitted(sampler: Sampler, number: int, *arguments: Any, **fields: Any) -> int:
    return sum(sampler.admits(entry(*arguments, **fields)) for _ in range(number))


def test_refusals_of_an_address_are_sampled(sampler: Sampler) -> None:
    login = (Event.LOGIN, Result.DENIED)
    assert admitted(sampler, 50, *login, address="203.0.113.9") == REFUSALS_OF_ADDRESS
    assert admitted(sampler, 50, *login, address="203.0.113.8") == REFUSALS_OF_ADDRESS
    assert admitted(sampler, 50, Event.REQUEST_REFUSED, Result.DENIED, address="203.0.113.9") == REFUSALS_OF_ADDRESS
    of_network = [admitted(sampler, 1, *login, address=f"2001:db8::{number}") for number in range(1, 50)]
    assert sum(of_network) == REFUSALS_OF_ADDRESS


def test_refusals_of_an_event_are_bounded_over_addresses(sampler: Sampler) -> None:
    events = [
        sampler.admits(entry(Event.LOGIN, Result.DENIED, address=f"10.1.{n // 250}.{n % 250}")) for n in range(2000)
    ]
    assert sum(events) == REFUSALS
    assert len(sampler._recorded) <= REFUSALS + 1
    assert list(sampler.summaries(is_last=True)) == [(Summary("login", "denied", "several", ""), 2000 - REFUSALS)]


def test_acts_of_users_are_bounded_by_caller_and_event(sampler: Sampler) -> None:
    assert admitted(sampler, 500, Event.CHAT_CREATED, Result.OK, "user:1") == ACTS_OF_CALLER
    others = sum(admitted(sampler, 200, Event.CHAT_CREATED, Result.OK, f"user:{user}") for user in range(2, 100))
    assert others == ACTS - ACTS_OF_CALLER


def test_changes_by_services_and_operators_are_all_recorded(sampler: Sampler) -> None:
    assert admitted(sampler, 9000, Event.USER_BANNED, Result.OK, "service:bank") == 9000
    assert admitted(sampler, 200, Event.KEY_ROTATED, Result.OK, "operator") == 200
    assert admitted(sampler, 200, Event.USER_BANNED, Result.DENIED, "service:bank") == REFUSALS_OF_ADDRESS


def test_other_calls_of_a_service_are_counted_by_operation(sampler: Sampler) -> None:
    for operation in ("POST /message", "GET /a"):
        taken = admitted(sampler, 100, Event.SERVICE_CALL, Result.OK, "service:bank", operation=operation)
        assert taken == CALLS_OF_SERVICE
    assert admitted(sampler, 70, Event.AUDIT_READ, Result.OK, "service:bank") == CALLS_OF_SERVICE
    assert dict(sampler.summaries(is_last=True)) == {
        Summary("audit_read", "ok", "service:bank", ""): 10,
        Summary("service_call", "ok", "service:bank", "POST /message"): 40,
        Summary("service_call", "ok", "service:bank", "GET /a"): 40,
    }


def test_new_window_admits_again_and_summarises_once(sampler: Sampler, clock: Clock) -> None:
    assert admitted(sampler, 15, Event.LOGIN, Result.DENIED) == REFUSALS_OF_ADDRESS
    assert list(sampler.summaries()) == []
    clock.seconds += WINDOW_S
    assert [count for _, count in sampler.summaries()] == [5]
    assert list(sampler.summaries()) == []
    assert admitted(sampler, 15, Event.LOGIN, Result.DENIED) == REFUSALS_OF_ADDRESS
