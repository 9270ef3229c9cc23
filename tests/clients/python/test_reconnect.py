"""When the Python client connects again."""

import pytest
from chat_gateway_client.reconnect import FIRST_S, LONGEST_S, Delays, hint_in, may_reconnect


@pytest.mark.parametrize(
    ("code", "may"),
    [(1000, True), (1006, True), (1012, True), (4000, True), (4399, True), (4400, False), (4409, False), (1009, False)],
)
def test_close_code_decides_about_reconnecting(code: int, may: bool) -> None:
    assert may_reconnect(code) is may


def test_delays_grow_to_a_limit_and_start_anew() -> None:
    delays = Delays()
    drawn = [delays.next_s() for _ in range(30)]
    assert drawn[0] < FIRST_S
    assert max(drawn) <= LONGEST_S
    assert max(drawn) > FIRST_S
    delays.start_anew()
    assert delays.next_s() < FIRST_S


def test_hint_of_gateway_is_followed() -> None:
    assert Delays().next_s(hint_in('{"retry_after_ms":1500}')) == 1.5


@pytest.mark.parametrize("reason", ["", "slow", "[]", "{}", '{"retry_after_ms":"x"}', '{"retry_after_ms":-1}'])
def test_other_reasons_hold_no_hint(reason: str) -> None:
    assert hint_in(reason) is None
