"""Versions and release notes: `scripts/release` runs this module."""

import argparse
import re
import sys
from datetime import UTC, date, datetime

from scripts.generators import version
from scripts.generators.marked import ROOT

CHANGELOG = ROOT / "CHANGELOG.md"
_UNRELEASED = "## Unreleased\n"
_VERSION = re.compile(r"\d+\.\d+\.\d+")


class ReleaseError(Exception):
    """The version or the changelog does not allow this release."""


def released(changelog: str, new: str, old: str, day: date) -> str:
    """The changelog in which everything unreleased belongs to the version `new`.

    Raises: ReleaseError, if `new` does not follow `old` or nothing is unreleased.
    """
    if not _VERSION.fullmatch(new):
        raise ReleaseError(f"A version is three numbers, such as 0.2.0: {new}")
    if _numbers(new) <= _numbers(old):
        raise ReleaseError(f"{new} does not follow {old}")
    before, _, rest = changelog.partition(_UNRELEASED)
    if not rest.partition("\n## ")[0].strip():
        raise ReleaseError("CHANGELOG.md has nothing under Unreleased")
    return f"{before}{_UNRELEASED}\n## {new} - {day}\n{rest}"


def notes(changelog: str, of: str) -> str:
    """The section of a version, without its heading.

    Raises: ReleaseError, if there is none.
    """
    section = re.search(rf"(?ms)^## {re.escape(of)} - \S+\n(.*?)(?=^## |\Z)", changelog)
    if section is None:
        raise ReleaseError(f"CHANGELOG.md has no section of {of}")
    return section[1].strip() + "\n"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def main() -> int:
    """Prepare a release, or print the notes of the current one."""
    parser = argparse.ArgumentParser(prog="scripts/release")
    parser.add_argument("version", nargs="?", help="the version to release, such as 0.2.0")
    parser.add_argument("--notes", action="store_true", help="print the section of the current version in CHANGELOG.md")
    given = parser.parse_args()
    if given.notes == bool(given.version):
        parser.error("give either a version or --notes")
    changelog, old = CHANGELOG.read_text(encoding="utf-8"), version.current()
    try:
        if given.notes:
            sys.stdout.write(notes(changelog, old))
            return 0
        text = released(changelog, given.version, old, datetime.now(UTC).date())
    except ReleaseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    CHANGELOG.write_text(text, encoding="utf-8")
    project = ROOT / "pyproject.toml"
    project.write_text(
        project.read_text(encoding="utf-8").replace(f'\nversion = "{old}"\n', f'\nversion = "{given.version}"\n', 1),
        encoding="utf-8",
    )
    for path, made in version.made().items():
        path.write_text(made, encoding="utf-8")
    sys.stdout.write(
        f"Now: scripts/test; git commit --all --message 'Release {given.version}'; git tag v{given.version}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
