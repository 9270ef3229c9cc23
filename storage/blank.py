"""Texts without anything to see: of white space, controls and characters that are drawn as nothing."""

import re
from typing import Final

# White space, controls but NUL (which is refused for what it is), Default_Ignorable_Code_Point of Unicode 16
# (DerivedCoreProperties.txt), interlinear annotation, and what has a glyph without ink: U+2800 BRAILLE PATTERN BLANK,
# U+13441 and U+13442 EGYPTIAN HIEROGLYPH FULL and HALF BLANK, U+16FE4 KHITAN SMALL SCRIPT FILLER, U+1D159 MUSICAL
# SYMBOL NULL NOTEHEAD.
CONTROLS: Final = r"\u0001-\u001f\u007f-\u009f"
"""The controls among them, for a character class of a regular expression in Python's or ECMAScript's notation."""
BLANKS: Final = (
    r"\u0020\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f"
    r"\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
"""The others up to U+FFFF."""
INVISIBLE: Final = CONTROLS + BLANKS
_BEYOND: Final = (
    r"\U00013441\U00013442\U00016fe4\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_VISIBLE: Final = re.compile(f"[^{INVISIBLE}{_BEYOND}]")
_FIRST_FILLER: Final = "\u115f"
"""HANGUL CHOSEONG FILLER: no letter or digit before it is invisible."""


def is_blank(text: str) -> bool:
    """Whether nothing of the text can be seen; true of an empty one. Stops at the first character that can."""
    if not text:
        return True
    first = text[0]
    if first < _FIRST_FILLER and first.isalnum():  # nearly every text, for half of what the pattern costs
        return False
    return _VISIBLE.search(text) is None
