import pytest

from gateway.protocol.ids import MAX_ID, UNREADABLE, Since, id_in, is_id, is_seq, read_since, seq_in


@pytest.mark.parametrize("value", [1, MAX_ID])
def test_positive_bigint_is_an_id(value: int) -> None:
    assert is_id(value)


@pytest.mark.parametrize("value", [0, -1, MAX_ID + 1, True, 1.0, "1", None])
def test_other_value_is_not_an_id(value: object) -> None:
    assert not is_id(value)


@pytest.mark.parametrize("value", [0, 1, MAX_ID])
def test_bigint_from_zero_is_a_seq(value: int) -> None:
    assert is_seq(value)


@pytest.mark.parametrize("value", [-1, MAX_ID + 1, False, 0.0, "0", None])
def test_other_value_is_not_a_seq(value: object) -> None:
    assert not is_seq(value)


@pytest.mark.parametrize("value", [1, 42, MAX_ID])
def test_id_in_url_is_read(value: int) -> None:
    assert id_in(str(value)) == value


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", " 1", "x", "²", "٣", str(MAX_ID + 1), "0" * 19 + "1"])
def test_invalid_id_in_url_is_none(text: str) -> None:
    assert id_in(text) is None


def test_zero_in_url_is_a_seq_and_no_id() -> None:
    assert (seq_in("0"), id_in("0"), seq_in(str(MAX_ID)), seq_in(str(MAX_ID + 1))) == (0, None, MAX_ID, None)


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("0", Since(0)),
        ("42", Since(42)),
        ("ab1:42", Since(42, "ab1")),
        ("a:b:42", Since(42, "a:b")),
        (str(MAX_ID), Since(MAX_ID)),
    ],
)
def test_position_is_a_seq_with_optional_epoch(text, since):
    assert read_since(text) == since


@pytest.mark.parametrize(
    "text", ["", "-1", "1.5", "x", "ab:", "9" * 20, "0" * 19 + "1", "٣", "9223372036854775808", " 1"]
)
def test_invalid_position_belongs_to_no_epoch(text):
    assert read_since(text) == UNREADABLE
