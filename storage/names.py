"""What people and chats may be called: letters of every script with their joiners, spaces, symbols and emoji.

A name is of the FreeformClass of PRECIS (RFC 8264 §4.3, as nicknames are by RFC 8266): no controls, no bidi controls,
nothing invisible, and joiners (U+200C, U+200D) only where RFC 5892 A.1 and A.2 see them shape letters. That class knows
no emoji sequences (UTS #51) nor variation sequences, which are let in here. A name is kept as it was given.
"""

import re
import unicodedata
from typing import Final

from precis_i18n import get_profile

from storage.blank import is_blank

_FREEFORM: Final = get_profile("FreeformClass")
# Code points that emoji are among; of those in the last two ranges some are still to be assigned, for emoji.
_EMOJI: Final = (
    r"[\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    r"\u3030\u303d\u3297\u3299\U0001f000-\U0001faff\U0001fc00-\U0001fffd]"
)
_TAGS: Final = r"(?:(?<=\U0001f3f4)[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f)?"  # flags of regions
_SEQUENCE: Final = rf"{_EMOJI}\ufe0f?{_TAGS}(?:\u200d{_EMOJI}\ufe0f?)*"
_EMOJI_SEQUENCE: Final = re.compile(_SEQUENCE)
_SELECTED: Final = re.compile(r"(?<=\w)[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]|(?<=[#*])\ufe0f")
_PARTS: Final = re.compile(rf"{_SEQUENCE}|.", re.DOTALL)
_ANY_SYMBOL: Final = "\u263a"
MAX_MARKS: Final = 8
"""Combining marks on one base: more than any script writes (pointed and cantillated Hebrew, stacked Tibetan)."""


def is_name(text: str) -> bool:
    """Whether this may be a name. The caller checks its length first: 200 characters take at most a millisecond."""
    if is_blank(text):
        return False
    composed = unicodedata.normalize("NFC", text)  # Hangul is typed as conjoining jamo on some systems
    plain = _SELECTED.sub("", _EMOJI_SEQUENCE.sub(_ANY_SYMBOL, composed))
    return _without_piled_marks(plain) == plain and _is_freeform(plain)


def cleaned(text: str, max_length: int) -> str:
    """The most of this that may be a name, of at most so many characters; "" if there is none. Never raises."""
    name = text[: 4 * max_length].strip()[:max_length]
    if is_name(name):
        return name
    parts: list[str] = _PARTS.findall(unicodedata.normalize("NFC", name))
    kept = _without_piled_marks("".join(part for part in parts if len(part) > 1 or _is_freeform(part))).strip()
    return "" if is_blank(kept) else kept


def _without_piled_marks(text: str) -> str:
    """`text` without marks that have no base, as after a space, and those beyond MAX_MARKS on one."""
    kept = []
    room = 0
    for character in text:
        category = unicodedata.category(character)
        if category[0] == "M":
            if room == 0:
                continue
            room -= 1
        elif category == "Zs":
            room = 0
        elif category != "Cf":  # a joiner belongs to the marks around it
            room = MAX_MARKS
        kept.append(character)
    return "".join(kept)


def _is_freeform(text: str) -> bool:
    try:
        _FREEFORM.enforce(text)
    except UnicodeEncodeError:
        return False
    return True
