import pytest

from gateway.protocol.codes import ErrorCode
from gateway.protocol.refusals import REFUSALS, commands_limited, not_in_chat, rate_limited, refusal_reply
from gateway.protocol.replies import ErrorReply
from storage.records import Refusal, SlowMode


@pytest.mark.parametrize(("retry_after_s", "expected"), [(0.0, 1), (0.2, 1), (1.0, 1), (1.01, 2), (7.5, 8)])
def test_rate_limit_names_whole_seconds_rounded_up(retry_after_s: float, expected: int) -> None:
    text = "Too many messages, please wait"
    assert rate_limited(retry_after_s) == ErrorReply(ErrorCode.RATE_LIMITED, text, expected)
    text = "Too many commands of this kind, please wait"
    assert commands_limited(retry_after_s) == ErrorReply(ErrorCode.RATE_LIMITED, text, expected)


def test_every_refusal_has_a_reply() -> None:
    assert set(REFUSALS) == set(Refusal)
    assert [refusal_reply(refusal) for refusal in Refusal] == [REFUSALS[refusal] for refusal in Refusal]
    assert not_in_chat().code is ErrorCode.FORBIDDEN


def test_slow_mode_names_the_time_that_is_left() -> None:
    text = "This chat is in slow mode, please wait"
    assert refusal_reply(SlowMode(7)) == ErrorReply(ErrorCode.SLOW_MODE, text, 7)
