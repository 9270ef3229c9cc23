"""Connections are counted by node, address and user, handshakes by address and user."""

import pytest
from starlette.requests import HTTPConnection

from gateway.endpoints import connection_limits
from gateway.endpoints.connection_limits import TOO_MANY, ConnectionLimits, Limits, Place, descriptor_limit
from httpapi.errors import Problem
from tests.auth.fakes import Clock


def handshake() -> HTTPConnection:
    return HTTPConnection({"type": "websocket", "headers": [], "path": "/", "query_string": b""})


def enter(limits: ConnectionLimits, address: str = "10.0.0.1", user_id: int | None = None) -> Place:
    connection = handshake()
    place = limits.enter(connection, address)
    if user_id is not None:
        try:
            limits.on_user(connection, user_id)
        except Problem:
            place.release()
            raise
    return place


def refusal(limits: ConnectionLimits, address: str = "10.0.0.1", user_id: int | None = None) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        enter(limits, address, user_id)
    assert int(caught.value.response().headers["retry-after"]) >= 1
    return caught.value.status.value, caught.value.code


def test_full_node_refuses_until_a_connection_ends() -> None:
    limits = ConnectionLimits(Limits(connections=2))
    first, _ = enter(limits, "10.0.0.1"), enter(limits, "10.0.0.2")
    assert refusal(limits, "10.0.0.3") == (503, "unavailable")
    first.release()
    first.release()
    enter(limits, "10.0.0.3")
    assert refusal(limits) == (503, "unavailable")


def test_address_is_refused_beyond_its_connections() -> None:
    limits = ConnectionLimits(Limits(connections_per_address=2))
    first, _ = enter(limits), enter(limits)
    assert refusal(limits) == (429, TOO_MANY)
    enter(limits, "10.0.0.2")
    first.release()
    enter(limits)


def test_ipv6_address_is_limited_with_its_network() -> None:
    limits = ConnectionLimits(Limits(connections_per_address=1))
    enter(limits, "2001:db8::1")
    assert refusal(limits, "2001:db8::2") == (429, TOO_MANY)
    enter(limits, "2001:db8:0:1::1")


def test_user_is_refused_beyond_its_connections_from_anywhere() -> None:
    limits = ConnectionLimits(Limits(connections_per_user=2))
    first, _ = enter(limits, "10.0.0.1", 7), enter(limits, "10.0.0.2", 7)
    assert refusal(limits, "10.0.0.3", 7) == (429, TOO_MANY)
    enter(limits, "10.0.0.3", 8)
    enter(limits, "10.0.0.3")
    first.release()
    enter(limits, "10.0.0.3", 7)


def test_http_request_counts_for_no_user() -> None:
    limits = ConnectionLimits(Limits(connections_per_user=1))
    for _ in range(3):
        limits.on_user(handshake(), 7)
    enter(limits, user_id=7)


@pytest.mark.parametrize("user_id", [None, 7])
def test_handshakes_are_limited_and_allowed_again(user_id: int | None) -> None:
    clock = Clock()
    limits = ConnectionLimits(Limits(handshakes_per_address=60, handshakes_per_user=60), clock.unix)
    for n in range(60):
        enter(limits, "10.0.0.1" if user_id is None else f"10.0.1.{n}", user_id).release()
    assert refusal(limits, "10.0.0.1" if user_id is None else "10.0.0.2", user_id) == (503, "unavailable")
    enter(limits, "10.0.0.3", 8).release()
    clock.advance(1)
    enter(limits, "10.0.0.4" if user_id else "10.0.0.1", user_id)
    assert refusal(limits, "10.0.0.5" if user_id else "10.0.0.1", user_id) == (503, "unavailable")


def test_ended_connections_leave_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "MAX_KEYS", 50)
    limits = ConnectionLimits(Limits(0, 10, 10, 10, 10))
    for n in range(200):
        enter(limits, f"10.0.{n}.1", n).release()
    assert (limits._open, dict(limits._by_key)) == (0, {})
    assert len(limits._handshakes._buckets) == 50


def test_descriptors_leave_room_for_others() -> None:
    assert descriptor_limit() >= 0
