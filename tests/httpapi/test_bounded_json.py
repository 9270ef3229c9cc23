"""Accepted and rejected JSON of clients."""

from datetime import UTC, datetime

import msgspec
import orjson
import pytest

from httpapi.bounded_json import MAX_DEPTH, read_json, read_shape, to_json
from httpapi.errors import InvalidJson, TooDeep


class Body(msgspec.Struct):
    data: object = None


def arrays(depth: int, inner: bytes = b"") -> bytes:
    return b"[" * depth + inner + b"]" * depth


def objects(depth: int) -> bytes:
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


@pytest.mark.parametrize("nested", [arrays, objects])
@pytest.mark.parametrize("depth", [1, 2, MAX_DEPTH - 1, MAX_DEPTH])
def test_maximum_depth_is_accepted(nested: object, depth: int) -> None:
    payload = arrays(depth) if nested is arrays else objects(depth)
    assert read_json(payload) == orjson.loads(payload)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 255, 1022, 1023, 1024, 1025, 1500, 30_000])
def test_one_level_over_maximum_depth_is_rejected(depth: int) -> None:
    for payload in (arrays(depth), objects(depth), b" \n" + objects(depth), b"[1," + arrays(depth - 1) + b"]"):
        with pytest.raises(TooDeep):
            read_json(payload)
    for payload in (b'{"data":' + arrays(depth - 1) + b"}", b'{"other":' + objects(depth - 1) + b"}"):
        with pytest.raises(TooDeep):
            read_shape(payload, Body)


def test_wide_json_and_brackets_in_text_are_not_deep() -> None:
    wide = orjson.dumps({"a": [{"b": [{}]}] * 1000, "c": "[{" * 1000})
    assert read_json(wide) == orjson.loads(wide)


@pytest.mark.parametrize(
    "payload",
    [
        *(
            b"",
            b"{",
            b"NaN",
            b"Infinity",
            b"-Infinity",
            b"1e999",
            b"-1e999",
            b"9" * 400,
            b"9" * 100_000,
            b"01",
            b"\xff",
        ),
        *(
            b'"\\ud800"',
            b'{"a":"\\udc00"}',
            b"\xef\xbb\xbf{}",
            b"{'a':1}",
            b"{} {}",
            b"[1,]",
            b'"\x01"',
            b"\xed\xa0\x80",
        ),
    ],
)
def test_invalid_json_is_rejected(payload: bytes) -> None:
    with pytest.raises(InvalidJson):
        read_json(payload)
    with pytest.raises(InvalidJson):
        read_shape(payload, Body)


def test_last_of_equal_keys_counts_for_both_readers() -> None:
    payload = b'{"data":1,"data":2}'
    assert read_json(payload) == {"data": 2}
    assert read_shape(payload, Body) == Body(2)


def test_value_of_other_shape_is_a_validation_error() -> None:
    with pytest.raises(msgspec.ValidationError):
        read_shape(b"[]", Body)


def test_time_is_encoded_in_whole_utc_seconds() -> None:
    assert to_json([datetime(2024, 1, 15, 10, 30, 0, 123456, tzinfo=UTC)]) == b'["2024-01-15T10:30:00Z"]'
