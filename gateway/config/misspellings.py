"""Finds names in `.env` files that are similar to a setting's name, but are not settings."""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Final, NamedTuple

from gateway.config.settings import known_settings
from gateway.config.sources import ENV_FILES, read_dotenv

LIKENESS: Final = 0.8
"""The least `difflib` ratio of a reported name: one or two wrong letters, but not the seeds' `APP_PROXY_PORT`."""
MAX_NAME_LENGTH: Final = 64
"""Longer names are not compared: they are no misspellings, and a comparison takes quadratic time."""


class Misspelling(NamedTuple):
    """A misspelt name; `nearest` is the setting that was probably meant."""

    file: str
    name: str
    nearest: str

    def __str__(self) -> str:
        return f"{self.name} in {self.file} is not a setting; did you mean {self.nearest}?"


def misspellings(folder: Path | None = None) -> Iterator[Misspelling]:
    """The misspelt names in the files that `sources.read` reads. They are no errors: other programs may share a `.env`.

    Raises: OSError, UnicodeDecodeError.
    """
    settings = {known.name.upper() for known in known_settings()}
    for file in ENV_FILES:
        for name in read_dotenv((folder or Path.cwd()) / file):
            if name in settings or len(name) > MAX_NAME_LENGTH:
                continue
            if nearest := get_close_matches(name.upper(), settings, n=1, cutoff=LIKENESS):
                yield Misspelling(file, name, nearest[0])
