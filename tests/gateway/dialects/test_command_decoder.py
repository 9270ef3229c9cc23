"""The errors for unreadable JSON objects."""

import json
import random

import pytest

from gateway.dialects.command_decoder import INVALID_JSON, INVALID_TEXT, read_object
from httpapi.bounded_json import has_lone_surrogate


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'{"a":"\ud800"}', True),
        (r'{"a":"\uDFFF"}', True),
        (r'{"a":"\udc00\ud800"}', True),
        (r'{"a":"\ud800\ud800\udc00"}', True),
        (r'{"\ud800":1}', True),
        (r'{"a":"\\\ud800"}', True),
        (r'{"a":"\ud83d\ude00"}', False),
        (r'{"a":"\\ud800"}', False),
        (r'{"a":"\ud8\\00"}', False),
        (r'{"a":"\ud800', False),
        (r'{"a":"\ud800"} x', False),
        (r'{"a":"\ud800","b":NaN}', False),
        (r'["\ud800"]', False),
        (r'"\ud800"', False),
    ],
)
def test_lone_surrogate_is_found_if_it_is_the_only_fault(text: str, expected: bool) -> None:
    assert has_lone_surrogate(text.encode()) is expected
    if expected:
        assert read_object(text.encode()) == INVALID_TEXT


def test_lone_surrogate_check_agrees_with_standard_library() -> None:
    chance = random.Random(3629)
    for _ in range(5_000):
        parts = [
            chance.choice(["\\", "\\\\", "\\ud800", "\\udc00", "\\uDBff", "\\u00e9", "ud800", "x"]) for _ in "12345"
        ]
        payload = ('{"a":"' + "".join(parts) + '"}').encode()
        try:
            json.dumps(json.loads(payload), ensure_ascii=False).encode()
            expected = False
        except UnicodeEncodeError:
            expected = True
        except ValueError:
            expected = False
        assert has_lone_surrogate(payload) is expected, payload


def test_long_object_with_lone_surrogate_avoids_json_loads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(json, "loads")  # milliseconds for what orjson reads in a tenth of that
    assert read_object(rb'{"a":"\ud800",' + b'"b":0,' * 9_000 + b'"c":1}') == INVALID_TEXT
    assert read_object(rb'{"a":"\ud800",' + b'"b":0,' * 9_000) == INVALID_JSON
