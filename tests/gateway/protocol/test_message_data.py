import orjson
import pytest

from gateway.protocol.message_data import MAX_DATA_BYTES, MAX_DATA_DEPTH, data_text


def nested(levels: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"b": 1, "a": [1.5, None, True, "\x00 \u2028 👋"], "B": -(2**63)},
        nested(MAX_DATA_DEPTH),
        {"a": "[" * 100},
        {"a": "x" * (MAX_DATA_BYTES - 8)},
        {"я": "я" * 2000},
    ],
)
def test_data_text_is_the_same_value_in_the_same_order(value: dict[str, object]) -> None:
    text = data_text(value)
    assert text is not None
    assert list(orjson.loads(text).items()) == list(value.items())
    assert "\x00" not in text


@pytest.mark.parametrize(
    "value",
    [
        *("text", 1, True, [], [{}]),
        nested(MAX_DATA_DEPTH + 1),
        {"a": [[[[[[[[]]]]]]]]},
        {"a": "x" * (MAX_DATA_BYTES - 7)},
        {"я": "я" * 2100},
        {"a": 2**64},
    ],
)
def test_other_values_are_no_data(value: object) -> None:
    assert data_text(value) is None
