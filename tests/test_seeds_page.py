"""docs/seeds.md covers every line of the five documents and cites existing tests."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "seeds.md").read_text()
SECTIONS = re.split(r"^## (\d{3}): .*$", PAGE, flags=re.MULTILINE)[1:]
NUMBERED = dict(zip(SECTIONS[::2], SECTIONS[1::2], strict=True))
RANGE = re.compile(r"(\d+)(?:–(\d+))?")


def lines_in(text: str) -> set[int]:
    """`3, 9–11` as numbers."""
    return {line for low, high in RANGE.findall(text) for line in range(int(low), int(high or low) + 1)}


@pytest.mark.parametrize("seed", NUMBERED)
def test_every_seed_line_is_covered(seed: str) -> None:
    [document] = (ROOT / "tests" / "seeds").glob(f"{seed}_*.txt")
    written = {number for number, line in enumerate(document.read_text().splitlines(), 1) if line.strip()}
    rows = re.findall(r"^\| ([\d–, ]+) \|", NUMBERED[seed], flags=re.MULTILINE)
    [nothing] = re.findall(r"^Nothing is promised.*?in lines ([\d–, ]+) ", NUMBERED[seed], flags=re.MULTILINE)
    promised, empty = set().union(*map(lines_in, rows)), lines_in(nothing)
    assert written - promised - empty == set()
    assert promised & empty == set()


def test_every_row_names_a_test() -> None:
    rows = [row for row in PAGE.splitlines() if re.match(r"\| \d", row)]
    assert len(rows) > 60
    assert [row for row in rows if not re.search(r"`[\w/]+/test_\w+\.py", row)] == []


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w/]+/test_\w+\.py(?:::\w+)?)`", PAGE))))
def test_every_cited_test_exists(name: str) -> None:
    file, _, function = name.partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text())
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert not function or function in names
