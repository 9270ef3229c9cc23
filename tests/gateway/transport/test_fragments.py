"""Messages from fragments: every limit at its edge."""

import pytest

from gateway.fragments import MAX_FRAGMENTS, NOT_UTF8, TOO_BIG, TOO_MANY, Fragments


def test_a_message_in_one_frame_is_handed_on_as_it_is() -> None:
    fragments, payload = Fragments(10), "κ".encode()
    assert fragments.begin(payload, is_text=True, is_last=True) is payload
    assert fragments.is_text
    assert fragments.begin(b"\xff", is_text=False, is_last=True) == b"\xff"
    assert not fragments.is_text


def test_each_message_begins_afresh() -> None:
    fragments = Fragments(10)
    for _ in range(3):
        assert fragments.begin(b"12345", is_text=True, is_last=False) is None
        assert fragments.proceed(b"67890", is_last=True) == b"1234567890"


def test_a_byte_beyond_the_limit_is_too_big() -> None:
    fragments = Fragments(10)
    assert fragments.begin(b"12345", is_text=False, is_last=False) is None
    assert fragments.proceed(b"67890", is_last=False) is None
    assert fragments.proceed(b"", is_last=False) is None
    assert fragments.proceed(b"!", is_last=True) == TOO_BIG


def test_a_fragment_beyond_the_limit_is_too_many() -> None:
    fragments = Fragments(10)
    assert fragments.begin(b"", is_text=False, is_last=False) is None
    for _ in range(MAX_FRAGMENTS - 1):
        assert fragments.proceed(b"", is_last=False) is None
    assert fragments.proceed(b"", is_last=True) == TOO_MANY


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_text_may_be_cut_anywhere(size: int) -> None:
    text = "aκό🌍\x00".encode()
    fragments = Fragments(100)
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    results = [fragments.begin(parts[0], is_text=True, is_last=False)]
    results += [fragments.proceed(part, is_last=False) for part in parts[1:]]
    assert set(results) == {None}
    assert fragments.proceed(b"", is_last=True) == text


@pytest.mark.parametrize("parts", [(b"\xff",), (b"a", b"\xf4\x90"), (b"\xce", b"a"), (b"\xc0",)])
def test_bad_text_fails_at_the_fragment_that_shows_it(parts: tuple[bytes, ...]) -> None:
    fragments = Fragments(100)
    results = [fragments.begin(parts[0], is_text=True, is_last=False)]
    results += [fragments.proceed(part, is_last=False) for part in parts[1:]]
    assert results == [None] * (len(parts) - 1) + [NOT_UTF8]


def test_bytes_are_not_text() -> None:
    fragments = Fragments(100)
    assert fragments.begin(b"\xff", is_text=False, is_last=False) is None
    assert fragments.proceed(b"\xfe", is_last=True) == b"\xff\xfe"
