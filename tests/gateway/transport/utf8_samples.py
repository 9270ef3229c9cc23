"""Boundary cases of UTF-8, valid and invalid, in the groups of Autobahn (6.5 to 6.23)."""

from typing import Final

GOOD: Final = tuple(
    sample.encode()
    for sample in (
        "\x00",
        "\x7f",
        "\x80",
        "\u07ff",
        "\u0800",
        "\ud7ff",
        "\ue000",
        "\ufffd",
        "\uffff",
        "\U00010000",
        "\U0010ffff",
        "κόσμε",
        "a\u0301 \u202e \ufeff",
        *(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF)),
    )
)
"""Each as a whole message: the first and last of each length, around the surrogates, and all noncharacters."""

BAD: Final = {
    "a first continuation byte": b"\x80",
    "a last continuation byte": b"\xbf",
    "six continuation bytes": b"\x80\xbf\x80\xbf\x80\xbf",
    "two bytes, the second missing": b"\xc3 ",
    "three bytes, the third missing": b"\xe1\x80 ",
    "four bytes, the fourth missing": b"\xf1\x80\x80 ",
    "a five-byte sequence": b"\xf8\x88\x80\x80\x80",
    "a six-byte sequence": b"\xfc\x84\x80\x80\x80\x80",
    "0xFE": b"\xfe",
    "0xFF": b"\xff",
    "an overlong slash of two bytes": b"\xc0\xaf",
    "an overlong slash of three bytes": b"\xe0\x80\xaf",
    "an overlong slash of four bytes": b"\xf0\x80\x80\xaf",
    "the highest overlong of two bytes": b"\xc1\xbf",
    "the highest overlong of three bytes": b"\xe0\x9f\xbf",
    "the highest overlong of four bytes": b"\xf0\x8f\xbf\xbf",
    "an overlong NUL": b"\xc0\x80",
    "the first high surrogate": b"\xed\xa0\x80",
    "the last high surrogate": b"\xed\xaf\xbf",
    "the first low surrogate": b"\xed\xb0\x80",
    "the last low surrogate": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\xbd\xed\xb8\x80",
    "just beyond U+10FFFF": b"\xf4\x90\x80\x80",
    "far beyond U+10FFFF": b"\xf7\xbf\xbf\xbf",
    "a character cut short": "κ".encode()[:1],
    "four bytes cut short": "🌍".encode()[:3],
    "good text before it": "κόσμε".encode() + b"\xed\xa0\x80" + b"edited",
}
"""By what is wrong with it."""
