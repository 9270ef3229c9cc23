import pytest

from gateway.protocol.codes import ErrorCode
from gateway.protocol.refusals import REFUSALS, not_in_chat, rate_limited
from storage.records import Refusal


@pytest.mark.parametrize(("retry_after_s", "expected"), [(0.0, 1), (0.2, 1), (1.0, 1), (1.01, 2), (7.5, 8)])
def test_rate_limit_names_whole_seconds_rounded_up(retry_after_s: float, expected: int) -> None:
    reply = rate_limited(retry_after_s)
    assert (reply.code, reply.retry_after_s) == (ErrorCode.RATE_LIMITED, expected)
    assert reply.message


def test_every_refusal_has_a_reply() -> None:
    assert set(REFUSALS) == set(Refusal)
    assert not_in_chat().code is ErrorCode.FORBIDDEN
