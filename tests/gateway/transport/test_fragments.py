"""Fragmented messages: every limit at its boundary."""

import pytest

from gateway.transport.fragments import MAX_FRAGMENTS, NOT_UTF8, TOO_BIG, TOO_MANY, Fragments


def test_message_in_one_frame_is_not_copied() -> None:
    fragments, payload = Fragments(10), "κ".encode()
    assert fragments.begin(payload, is_text=True, is_last=True) is payload
    assert fragments.is_text
    assert fragments.begin(b"\xff", is_text=False, is_last=True) == b"\xff"
    assert not fragments.is_text


def test_each_message_starts_from_empty_state() -> None:
    fragments = Fragments(10)
    for _ in range(3):
        assert fragments.begin(b"12345", is_text=True, is_last=False) is None
        assert fragments.proceed(b"67890", is_last=True) == b"1234567890"


def test_one_byte_over_limit_is_too_big() -> None:
    fragments = Fragments(10)
    assert fragments.begin(b"12345", is_text=False, is_last=False) is None
    assert fragments.proceed(b"67890", is_last=False) is None
    assert fragments.proceed(b"", is_last=False) is None
    assert fragments.proceed(b"!", is_last=True) == TOO_BIG


def test_one_fragment_over_limit_is_too_many() -> None:
    fragments = Fragments(10)
    assert fragments.begin(b"", is_text=False, is_last=False) is None
    for _ in range(MAX_FRAGMENTS - 1):
        assert fragments.proceed(b"", is_last=False) is None
    assert fragments.proceed(b"", is_last=True) == TOO_MANY


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_text_may_be_fragmented_anywhere(size: int) -> None:
    text = "aκό🌍\x00".encode()
    fragments = Fragments(100)
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    results = [fragments.begin(parts[0], is_text=True, is_last=False)]
    results += [fragments.proceed(part, is_last=False) for part in parts[1:]]
    assert set(results) == {None}
    assert fragments.proceed(b"", is_last=True) == text


@pytest.mark.parametrize("parts", [(b"\xff",), (b"a", b"\xf4\x90"), (b"\xce", b"a"), (b"\xc0",)])
def test_invalid_utf_8_fails_at_its_fragment(parts: tuple[bytes, ...]) -> None:
    fragments = Fragments(100)
    results = [fragments.begin(parts[0], is_text=True, is_last=False)]
    results += [fragments.proceed(part, is_last=False) for part in parts[1:]]
    assert results == [None] * (len(parts) - 1) + [NOT_UTF8]


@pytest.mark.parametrize("start", [b"\xce", b"a\xf0\x9f", b"\xf0\x9f\x8c"])
def test_text_that_ends_within_a_character_fails_at_its_end(start: bytes) -> None:
    for last in (b"", start):
        fragments = Fragments(100)
        assert fragments.begin(start if not last else b"a", is_text=True, is_last=False) is None
        assert fragments.proceed(last, is_last=True) == NOT_UTF8
    assert Fragments(100).begin(start, is_text=True, is_last=True) == NOT_UTF8


def test_text_in_one_frame_is_checked() -> None:
    fragments = Fragments(100)
    for text in (b"", b"ascii", "κό🌍".encode()):
        assert fragments.begin(text, is_text=True, is_last=True) == text
    for bad in (b"\xff", b"a\xf4\x90"):
        assert fragments.begin(bad, is_text=True, is_last=True) == NOT_UTF8


def test_nothing_of_a_message_that_failed_is_in_the_next() -> None:
    fragments = Fragments(10)
    assert fragments.begin(b"12345", is_text=True, is_last=False) is None
    assert fragments.proceed(b"\xff", is_last=True) == NOT_UTF8
    assert fragments.begin(b"67890", is_text=True, is_last=False) is None
    assert fragments.proceed(b"", is_last=True) == b"67890"


def test_binary_message_needs_no_valid_utf_8() -> None:
    fragments = Fragments(100)
    assert fragments.begin(b"\xff", is_text=False, is_last=False) is None
    assert fragments.proceed(b"\xfe", is_last=True) == b"\xff\xfe"
