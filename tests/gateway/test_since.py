import pytest

from gateway.since import UNREADABLE, Since, read_since


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("0", Since(0)),
        ("42", Since(42)),
        ("ab1:42", Since(42, "ab1")),
        ("a:b:42", Since(42, "a:b")),
    ],
)
def test_a_position_is_a_seq_with_or_without_its_epoch(text, since):
    assert read_since(text) == since


@pytest.mark.parametrize("text", ["", "-1", "1.5", "x", "ab:", "9" * 20, "٣", "9223372036854775808", " 1"])
def test_what_is_no_position_is_of_no_history(text):
    assert read_since(text) == UNREADABLE
