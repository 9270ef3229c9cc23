"""Runs mutmut over one room in the working directory, and prints the survivors and the score."""

import fnmatch
import random
import sys
import time
from collections.abc import Container, Iterator
from pathlib import Path

import libcst as cst
from mutmut.__main__ import cli
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.mutation.mutators import mutation_operators
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import get_mutant_name

from scripts.mutation.explained import EXPLAINED
from scripts.mutation.rooms import ROOMS, Room

SEED = 12
REQUIRED = 0.9


def _forced(node: cst.If) -> Iterator[cst.If]:
    for value in ("True", "False"):
        yield node.with_changes(test=cst.Name(value), whitespace_before_test=cst.SimpleWhitespace(" "))


def _without_call(node: cst.Expr) -> Iterator[cst.BaseSmallStatement]:
    value = node.value.expression if isinstance(node.value, cst.Await) else node.value
    if isinstance(value, cst.Call):
        yield cst.Pass()


# What mutmut does not change: a condition as a whole, and a statement that is only a call.
OPERATORS = [(cst.If, _forced), (cst.Expr, _without_call)]


def _names(room: Room) -> Iterator[str]:
    for path in _files(room):
        mutated = mutate_file_contents(str(path), path.read_text(encoding="utf-8"))
        yield from (get_mutant_name(path, name) for name in mutated.mutant_names)


def _files(room: Room) -> list[Path]:
    return [path for path in sorted(Path(room.source).glob("*.py")) if str(path) not in room.without]


def _survivors(room: Room, names: Container[str]) -> Iterator[tuple[str, str, str]]:
    """Name, status and diff."""
    for path in _files(room):
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            status = status_by_exit_code[code]
            if name in names and status not in ("killed", "timeout"):
                yield name, status, get_diff_for_mutant(name, path=path)


def _changed_lines(diff: str) -> list[str]:
    return [line for line in diff.splitlines()[2:] if line[:1] in "+-"]


def _is_explained(room: Room, name: str, diff: str) -> bool:
    """Whether it is known why no test notices the mutant."""
    function = name.partition("__mutmut_")[0].rpartition(".")[2].removeprefix("x_").replace("ǁ", ".").removeprefix("x.")
    removed, added = (" ".join(line[1:].strip() for line in _changed_lines(diff) if line[0] == sign) for sign in "-+")
    is_explained = (function, added) in EXPLAINED or (function, removed) in EXPLAINED
    return is_explained or (room.is_sql and removed.lower() == added.lower())


def main(name: str, sample: int, pattern: str) -> int:
    """0 if enough mutants were killed, else 1."""
    room = ROOMS[name]
    mutation_operators.extend(OPERATORS)
    names = sorted(fnmatch.filter(_names(room), pattern))
    if 0 < sample < len(names):
        names = sorted(random.Random(SEED).sample(names, sample))
    started_at = time.monotonic()
    cli(["run", "--max-children", "2", *names], standalone_mode=False)
    explained = survived = 0
    for mutant, status, diff in _survivors(room, frozenset(names)):
        if _is_explained(room, mutant, diff):
            explained += 1
            continue
        survived += 1
        print(f"{mutant}: {status}", *_changed_lines(diff), sep="\n    ")
    duration = time.monotonic() - started_at
    score = 1 - survived / (len(names) - explained)
    print(f"{name}: {len(names)} mutants, {explained} explained, {survived} survived: {score:.1%} in {duration:.0f} s")
    return int(score < REQUIRED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
