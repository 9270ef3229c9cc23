"""docs/security.md: each defence cites existing files and tests, or states that there is no test."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DEFENDED = (ROOT / "docs/security.md").read_text().partition("## Not defended")[0]
ROWS = [row.strip("| ").split(" | ") for row in re.findall(r"^\| .*$", DEFENDED, re.MULTILINE)]
CITED = sorted(set(re.findall(r"`((?:\w+/)*test_\w+\.py(?:::\w+)?)`", DEFENDED)))


def test_every_attack_has_a_defence_and_a_test() -> None:
    assert len(ROWS) > 40
    for attack, defence, tests in (row for row in ROWS if row[0] != "attack"):
        assert defence, attack
        assert "::test_" in tests or "no test" in tests, attack


def test_files_of_defences_exist() -> None:
    files = {name for _, defence, _ in ROWS for name in re.findall(r"`([\w./-]+/[\w./-]*)`", defence)}
    assert len(files) > 30
    assert [name for name in sorted(files) if name != "/metrics" and not (ROOT / name).exists()] == []


@pytest.mark.parametrize("name", CITED)
def test_every_cited_test_exists(name: str) -> None:
    file, _, function = name.partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text())
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert function in names
