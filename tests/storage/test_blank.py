"""Texts without visible characters."""

import unicodedata

import pytest

from storage.blank import is_blank

INVISIBLE = (
    "\u200b\ufeff\u2060\u2800\u3164\u115f\u1160\uffa0\u00ad\u034f\u180e\u200c\u200d\u200e\u202e\u2066\u061c\u17b4\u2028"
    "\u2064\u206f\ufe0f\ufff9\U000e0001\U000e0041\U000e0100\U0001d173\U0001d159\U0001bca0\U00016fe4\U00013441\t\r\n\x0b\x1f\x7f\x85"
)


@pytest.mark.parametrize("character", INVISIBLE, ids=lambda character: f"{ord(character):04X}")
def test_invisible_characters_are_blank(character: str) -> None:
    assert is_blank(character)
    assert is_blank(f" {character}\u00a0{character}")
    assert not is_blank(f"{character}.{character}")


@pytest.mark.parametrize(
    "text",
    ["a", "я", "0", "ا", "नि", ".", "\u0301", "😀", "❤\ufe0f", "\u2801", "\u3163", "한", "\ue000", "\u0600", "\x00"],
)
def test_visible_text_is_not_blank(text: str) -> None:
    assert not is_blank(text)
    assert not is_blank(f"\u200b{text}")


def test_white_space_controls_and_format_characters_are_blank() -> None:
    for character in map(chr, range(0x110000)):
        kind = unicodedata.category(character)
        if character.isspace() or kind in ("Zs", "Zl", "Zp") or (kind == "Cc" and character != "\0"):
            assert is_blank(character), hex(ord(character))
        if kind in ("Lu", "Ll", "Lt", "Nd", "Sm", "Sc", "Po", "Ps"):
            assert not is_blank(character), hex(ord(character))
    assert is_blank("")
