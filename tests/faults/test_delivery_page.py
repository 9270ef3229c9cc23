"""docs/delivery.md documents every kind of fault and cites existing tests."""

import ast
import re
from pathlib import Path

import pytest

from tests.faults.schedule import Kind

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "delivery.md").read_text()
FAILURES = PAGE.partition("## Failure modes")[2].partition("## Figures")[0]


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_fault_is_documented(kind: Kind) -> None:
    assert kind.value in FAILURES


def test_every_failure_mode_names_its_fault_or_test() -> None:
    rows = [row.split("|")[2:4] for row in FAILURES.splitlines() if row.startswith("| ")][1:]
    assert len(rows) > 20
    assert all(re.search(r"\w", kinds) or "::" in besides or ".py" in besides for kinds, besides in rows)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:\w+/)?test_\w+\.py(?:::\w+)?)`", PAGE))))
def test_every_cited_test_exists(name: str) -> None:
    file, _, function = name.partition("::")
    paths = [
        path
        for path in (TESTS / file, TESTS / "gateway" / file, TESTS / "gateway" / "transport" / file)
        if path.is_file()
    ]
    assert paths, file
    named = {
        node.name
        for node in ast.walk(ast.parse(paths[0].read_text()))
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
    }
    assert not function or function in named
