"""Prepares a copy of the sources for each room, and runs mutmut there."""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.mutation.rooms import ROOMS, Room

ROOT = Path(__file__).parents[2]
SOURCES = ["auth", "gateway", "httpapi", "storage"]
SAMPLE = 100


def _prepare(folder: Path, room: Room) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--"]
    command += [*SOURCES, "tests", "web", "pyproject.toml"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in names:
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    options: dict[str, Sequence[str]] = {
        "source_paths": SOURCES,
        "only_mutate": [f"{room.source}/*"],
        "do_not_mutate": room.without,
        "do_not_mutate_patterns": [r"^\s*(logger|_log)\.\w+\(", r"^\s*raise "],  # texts for people
        "also_copy": ["web"],
        "pytest_add_cli_args_test_selection": room.tests,
        # It ends a mutant that hangs: the slowest test takes some 2 s, and before the first a database is migrated.
        "pytest_add_cli_args": ["--timeout=45", *(["-k", f"not ({room.deselect})"] if room.deselect else [])],
        "use_git_change_detection": ["false"],
    }
    lines = [f"{key} = " + "\n    ".join(values) for key, values in options.items() if values]
    (folder / "setup.cfg").write_text("\n".join(["[mutmut]", *lines, ""]), encoding="utf-8")


def main() -> int:
    """The number of rooms in which too many mutants survived."""
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="room", help=", ".join(ROOMS))
    parser.add_argument("--all", action="store_true", help=f"every mutant, in place of {SAMPLE} a room")
    parser.add_argument("--only", default="*", help="a pattern of mutants' names, such as '*hub*give_up*'")
    arguments = parser.parse_args()
    failed = 0
    for name in arguments.rooms or ROOMS:
        folder = ROOT / "build" / "mutants" / name
        _prepare(folder, ROOMS[name])
        sample = 0 if arguments.all else SAMPLE
        # mutmut reads its configuration from the working directory as soon as it is imported.
        command = [sys.executable, "-m", "scripts.mutation.room_run", name, str(sample), arguments.only]
        failed += subprocess.run(command, cwd=folder, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
