"""The table of settings in README.md, generated from the code."""

from dataclasses import Field
from enum import StrEnum
from pathlib import Path
from typing import Any

from gateway.config.settings import known_settings
from scripts.generators.marked import ROOT, with_part


def made() -> dict[Path, str]:
    """README.md with its expected content."""
    page = ROOT / "README.md"
    return {page: with_part(page, "settings", table())}


def table() -> str:
    """The table of all settings in Markdown."""
    rows = [
        f"| `{known.name.upper()}` | {_default(known)} | {known.metadata['meaning']} |" for known in known_settings()
    ]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows, ""])


def _default(known: Field[Any]) -> str:
    if known.metadata["shown"]:
        return known.metadata["shown"]
    value = known.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{value.value if isinstance(value, StrEnum) else value}`"
