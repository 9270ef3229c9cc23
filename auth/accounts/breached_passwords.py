"""Passwords from breaches: a Bloom filter of the most used ones, in a file that a script makes.

`scripts/generators/breached_passwords.py` says where they come from. A password that is not among them is taken for one
with a probability of about 1:100,000. A lookup takes some microseconds and sends no request.
"""

import hashlib
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Final

HASHES: Final = 17
"""Bits of a password: the best number for 24 bits of the filter per password."""


class BloomFilter:
    """A set of passwords, letter case aside, of which some bits are kept."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __contains__(self, password: str) -> bool:
        return all(self._content[bit >> 3] >> (bit & 7) & 1 for bit in bits_of(password, len(self._content) * 8))


def bits_of(password: str, size: int) -> Iterator[int]:
    """The bits of a password in a filter of `size` bits (Kirsch and Mitzenmacher: two hashes give all)."""
    normal = unicodedata.normalize("NFC", password.casefold())
    digest = hashlib.sha256(normal.encode("utf-8", "surrogatepass")).digest()
    first, step = int.from_bytes(digest[:8]), int.from_bytes(digest[8:16]) | 1
    return ((first + number * step) % size for number in range(HASHES))


_BREACHED: Final = BloomFilter((Path(__file__).parent / "breached.bloom").read_bytes())


def is_breached(password: str) -> bool:
    """Whether this is one of the most used passwords of breaches. The caller checks its length first."""
    return password in _BREACHED
