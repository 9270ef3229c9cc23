"""The fenced blocks of a page, and the files that it says to write."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_BLOCK: Final = re.compile(r"(?ms)^```(\w+)\n(.*?)^```$")
_FILE: Final = re.compile(r"`([\w.]+)`[^\n]*:\n\n\Z")
"""What precedes a block that is a file: a line that ends in a colon and has its name."""


@dataclass(frozen=True)
class Snippet:
    """A fenced block, whose code begins in `line` of the page. `file` is the name of the file that it is, if any."""

    page: str
    line: int
    section: str
    language: str
    code: str
    file: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def snippets(page: str) -> list[Snippet]:
    """All of a page, in order. `page` is its path in the repository."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for block in _BLOCK.finditer(text):
        before = text[: block.start()]
        file = _FILE.search(before)
        section = re.findall(r"(?m)^##+ (.+)$", before)[-1:]
        line = before.count("\n") + 2
        found.append(Snippet(page, line, "".join(section), block[1], block[2], file[1] if file else None))
    return found
