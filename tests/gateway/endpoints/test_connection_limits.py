"""Connections are counted by node, address and user, handshakes by address and user."""

from collections.abc import Sequence

import pytest
from starlette.requests import HTTPConnection

from gateway.endpoints import connection_limits
from gateway.endpoints.connection_limits import (
    TOO_MANY,
    TOO_MANY_HANDSHAKES,
    ConnectionLimits,
    Limits,
    Place,
    descriptor_limit,
)
from gateway.http.problems import unauthorized, unavailable
from gateway.http.slow_refusals import SlowRefusals
from gateway.interfaces.rate_limits import Exhausted, Take
from httpapi.errors import Problem
from tests.auth.fakes import Clock


def handshake() -> HTTPConnection:
    return HTTPConnection({"type": "websocket", "headers": [], "path": "/", "query_string": b""})


async def enter(limits: ConnectionLimits, address: str = "10.0.0.1", user_id: int | None = None) -> Place:
    connection = handshake()
    place = limits.enter(connection, address)
    try:
        await limits.admit(connection, user_id)
    except Problem:
        place.release()
        raise
    return place


async def refusal(limits: ConnectionLimits, address: str = "10.0.0.1", user_id: int | None = None) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        await enter(limits, address, user_id)
    assert int(caught.value.response().headers["retry-after"]) >= 1
    return caught.value.status.value, caught.value.code


async def test_full_node_refuses_until_a_connection_ends() -> None:
    limits = ConnectionLimits(Limits(connections=2))
    first, _ = await enter(limits, "10.0.0.1"), await enter(limits, "10.0.0.2")
    assert await refusal(limits, "10.0.0.3") == (503, "unavailable")
    first.release()
    first.release()
    await enter(limits, "10.0.0.3")
    assert await refusal(limits) == (503, "unavailable")


async def test_address_is_refused_beyond_its_connections() -> None:
    limits = ConnectionLimits(Limits(connections_per_address=2))
    first, _ = await enter(limits), await enter(limits)
    assert await refusal(limits) == (429, TOO_MANY)
    await enter(limits, "10.0.0.2")
    first.release()
    await enter(limits)


async def test_ipv6_address_is_limited_with_its_network() -> None:
    limits = ConnectionLimits(Limits(connections_per_address=1))
    await enter(limits, "2001:db8::1")
    assert await refusal(limits, "2001:db8::2") == (429, TOO_MANY)
    await enter(limits, "2001:db8:0:1::1")


async def test_user_is_refused_beyond_its_connections_from_anywhere() -> None:
    limits = ConnectionLimits(Limits(connections_per_user=2))
    first, _ = await enter(limits, "10.0.0.1", 7), await enter(limits, "10.0.0.2", 7)
    assert await refusal(limits, "10.0.0.3", 7) == (429, TOO_MANY)
    await enter(limits, "10.0.0.3", 8)
    await enter(limits, "10.0.0.3")
    first.release()
    await enter(limits, "10.0.0.3", 7)


async def test_http_request_counts_for_no_user() -> None:
    limits = ConnectionLimits(Limits(connections_per_user=1))
    for _ in range(3):
        await limits.admit(handshake(), 7)
    await enter(limits, user_id=7)


@pytest.mark.parametrize("user_id", [None, 7])
async def test_handshakes_are_limited_and_allowed_again(user_id: int | None) -> None:
    clock = Clock()
    limits = ConnectionLimits(Limits(handshakes_per_address=60, handshakes_per_user=60), now=clock.unix)
    for n in range(60):
        (await enter(limits, "10.0.0.1" if user_id is None else f"10.0.1.{n}", user_id)).release()
    assert await refusal(limits, "10.0.0.1" if user_id is None else "10.0.0.2", user_id) == (503, TOO_MANY_HANDSHAKES)
    (await enter(limits, "10.0.0.3", 8)).release()
    clock.advance(1)
    await enter(limits, "10.0.0.4" if user_id else "10.0.0.1", user_id)
    assert await refusal(limits, "10.0.0.5" if user_id else "10.0.0.1", user_id) == (503, TOO_MANY_HANDSHAKES)


class SharedCount:
    """The count of all nodes: notes every key, and allows none of `beyond`."""

    def __init__(self, *beyond: str) -> None:
        self.taken: list[str] = []
        self._beyond = beyond

    def known_refusal(self, caller: str, takes: Sequence[Take]) -> Exhausted | None:
        return None

    async def take(self, caller: str, takes: Sequence[Take]) -> Exhausted | None:
        self.taken.append(caller)
        return Exhausted(takes[0].bucket, 7.0) if caller in self._beyond else None


@pytest.mark.parametrize("by", ["address:10.0.0.1", "user:7"])
async def test_handshake_beyond_rate_of_all_nodes_is_refused(by: str) -> None:
    shared, counted = SharedCount(by), list[str]()
    limits = ConnectionLimits(Limits(handshakes_per_address=60, handshakes_per_user=60), shared, counted.append)
    assert await refusal(limits, user_id=7) == (503, TOO_MANY_HANDSHAKES)
    assert sorted(shared.taken) == ["address:10.0.0.1", "user:7"]
    assert counted == [by.partition(":")[0]]
    assert (limits._open, dict(limits._by_key)) == (0, {})
    await enter(limits, "10.0.0.2", 8)


async def test_handshake_is_counted_once_for_all_nodes() -> None:
    shared = SharedCount()
    limits = ConnectionLimits(Limits(handshakes_per_address=60, handshakes_per_user=60), shared)
    connection = handshake()
    limits.enter(connection, "10.0.0.1")
    for user_id in (None, 7, 7, None):
        await limits.admit(connection, user_id)
    await limits.admit(handshake(), 8)
    assert shared.taken == ["address:10.0.0.1", "user:7"]


async def test_unlimited_handshakes_are_counted_nowhere() -> None:
    shared = SharedCount("address:10.0.0.1", "user:7")
    await enter(ConnectionLimits(Limits(), shared), user_id=7)
    assert shared.taken == []


async def test_rejected_handshake_counts_for_its_address() -> None:
    shared = SharedCount("address:10.0.0.1")
    limits = ConnectionLimits(Limits(handshakes_per_address=60), shared)
    connection = handshake()
    limits.enter(connection, "10.0.0.1")
    assert (await limits.first(unavailable(), connection, "10.0.0.1")).status == 503
    assert shared.taken == []
    assert (await limits.first(unauthorized("no"), connection, "10.0.0.1")).code == TOO_MANY_HANDSHAKES
    assert shared.taken == ["address:10.0.0.1"]
    elsewhere = handshake()
    limits.enter(elsewhere, "10.0.0.2")
    assert (await limits.first(unauthorized("no"), elsewhere, "10.0.0.1")).status == 401


async def test_ended_connections_leave_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "MAX_KEYS", 50)
    limits = ConnectionLimits(Limits(0, 10, 10, 10, 10))
    for n in range(200):
        (await enter(limits, f"10.0.{n}.1", n)).release()
    assert (limits._open, dict(limits._by_key)) == (0, {})
    assert len(limits._handshakes._full_at) == 50


def test_descriptors_leave_room_for_others() -> None:
    assert descriptor_limit() >= 0


async def test_only_callers_that_do_not_wait_get_their_refusal_later() -> None:
    slowed: list[None] = []
    refusals = SlowRefusals(lambda: slowed.append(None))
    limits = ConnectionLimits(Limits(connections_per_address=1), slow_refusals=refusals)
    await enter(limits)
    for beyond in (1, 2):
        with pytest.raises(Problem) as caught:
            await enter(limits)
        assert (await limits.first(caught.value, handshake(), "10.0.0.1")).code == TOO_MANY
        assert (await limits.first(unavailable(), handshake(), "10.0.0.1")).status == 503
        assert len(slowed) == beyond - 1
