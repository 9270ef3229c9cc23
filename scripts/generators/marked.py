"""Replaces the generated part of a page, which is between two marks."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def with_part(page: Path, name: str, part: str) -> str:
    """Return the page with `part` between `<!-- name: scripts/generate -->` and `<!-- end of name -->`."""
    begin, end = f"<!-- {name}: scripts/generate -->\n", f"<!-- end of {name} -->\n"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    if not found:
        raise ValueError(f"{page} has no {begin}")
    return before + begin + part + end + rest.partition(end)[2]
