"""Valid names of people and chats."""

import time

import pytest

from storage.names import cleaned, is_name

NAMES = {
    "Cyrillic": "Анна 🏠",
    "apostrophe": "O'Neill",
    "Persian, ZWNJ": "علی\u200cرضا",
    "Hindi, ZWJ": "क्\u200dष",
    "Sinhala, ZWJ": "ශ්\u200dරී",
    "Thai": "สมชาย",
    "Hebrew, points": "שָׁלוֹם",
    "Mongolian, variation": "ᠮᠣᠩᠭᠣᠯ\u180b",
    "Korean, decomposed": "\u1112\u1161\u11ab",
    "Latin, decomposed": "Zoe\u0308",
    "Japanese, ideographic variation": "葛\U000e0100城",
    "no-break space": "Jean\u00a0Luc",
    "narrow no-break space": "Jean\u202fLuc",
    "emoji with a selector": "❤\ufe0f",
    "family": "👩\u200d👩\u200d👧",
    "skin tone and ZWJ": "👩🏽\u200d🚀",
    "gender": "🏃\u200d♂\ufe0f",
    "flag": "🇩🇪",
    "flag of a region": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "keycap": "1\ufe0f\u20e3",
    "an emoji newer than our Unicode": "\U0001fae8",
}
NO_NAMES = {
    "empty": "",
    "spaces": " \u00a0",
    "NUL": "a\0b",
    "line break": "a\nb",
    "C1 control": "a\x85b",
    "line separator": "a\u2028b",
    "override": "a\u202eb",
    "isolate": "a\u2066b",
    "mark": "a\u200eb",
    "zero width space": "a\u200bb",
    "byte order mark": "\ufeffa",
    "soft hyphen": "a\u00adb",
    "grapheme joiner": "a\u034fb",
    "Hangul filler": "a\u3164b",
    "blank": "\u2800",
    "ZWJ between Latin letters": "a\u200db",
    "ZWNJ between Latin letters": "a\u200cb",
    "leading ZWJ": "\u200dक",
    "trailing ZWJ": "👩\u200d",
    "selector of nothing": "a \ufe0f",
    "selector twice": "葛\U000e0100\U000e0100",
    "tags of nothing": "a\U000e0067\U000e007f",
    "lone surrogate": "a\ud800",
    "private use": "a\ue000",
    "noncharacter": "a\ufdd0",
    "mark without a base": "\u0301",
    "marks without a base": "\u0301" * 5,
    "mark after a space": "a \u0301",
    "marks that pile up": "a" + "\u0301" * 60,
    "a mark too many": "Z" + "\u0316" * 9,
    "marks that pile up behind emoji": "👩" + "\u0301" * 60,
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_valid_name_is_accepted_unchanged(name: str) -> None:
    assert is_name(name)
    assert is_name(f"a {name} b")
    assert cleaned(name, 48) == name


@pytest.mark.parametrize("text", NO_NAMES.values(), ids=NO_NAMES)
def test_invalid_name_is_rejected_and_cleaned(text: str) -> None:
    assert not is_name(text)
    name = cleaned(text, 48)
    assert name == "" or is_name(name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a\0b\nc\u202ed\ud800", "abcd"),
        ("x\u202eАнна", "xАнна"),
        ("👩\u200d🚀\u202e", "👩\u200d🚀"),
        ("\u3164\u2800 ", ""),
        ("x" * 4000, "x" * 48),
        ("👩\u200d" * 40, "👩\u200d" * 23 + "👩"),
    ],
)
def test_cleaning_keeps_valid_characters(text: str, name: str) -> None:
    assert cleaned(text, 48) == name


@pytest.mark.parametrize(
    "part", ["x", "क्\u200d", "ل\u200c", "\u064b", "\u0300\u0316", "👩\u200d", "\u200c", "🏴\U000e0067"]
)
def test_hostile_names_take_bounded_time(part: str) -> None:
    name = (part * 200)[:200]
    started = time.thread_time()
    for _ in range(5):
        is_name(name)
        cleaned(part * 64_000, 48)
    assert time.thread_time() - started < 5 * 0.01


@pytest.mark.parametrize(
    "name",
    ["ที่นี่", "Nguyễn Thị Ệ", "Nguye\u0302\u0303n", "בְּרֵאשִׁ֖ית", "שָּׁ֑", "مُحَمَّدٌ", "क्षत्रिय", "བོད་སྐད", "ക്ഷ്മി", "Z" + "\u0316" * 8],
)
def test_combining_marks_of_scripts_are_accepted(name: str) -> None:
    assert is_name(name)
    assert cleaned(name, 48) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [("a" + "\u0316" * 60 + "b", "a" + "\u0316" * 8 + "b"), ("\u0316\u0316x", "x"), ("\u0316" * 9, "")],
)
def test_cleaning_removes_excess_marks(text: str, name: str) -> None:
    assert cleaned(text, 70) == name
