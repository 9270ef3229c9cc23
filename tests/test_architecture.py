"""House rules that no linter knows; the import contracts are in pyproject.toml, for `lint-imports`."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_LINES = 400
BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "data", "misc"}
SOURCES = {".py", ".js", ".mjs", ".css", ".html", ".lua", ".sql", ".sh", ".yaml", ".yml", ".toml", ""}
NOT_OURS = ("tests/seeds/",)


def _our_files() -> list[Path]:
    """What git knows or would take, and is written by us."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and not name.startswith(NOT_OURS) and (ROOT / name).is_file()]


def _modules(package: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def _imports(tree: ast.Module) -> Iterator[str]:
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            yield from (name.name for name in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0, "imports are absolute"
            yield statement.module or ""


def test_no_source_file_has_more_than_400_lines() -> None:
    sources = [path for path in _our_files() if path.suffix in SOURCES]
    assert len(sources) > 50
    sizes = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    assert {name: size for name, size in sizes.items() if size > MAX_LINES} == {}


def test_every_file_is_found_by_its_noun() -> None:
    names = [path.relative_to(ROOT) for path in _our_files()]
    assert [str(name) for name in names if {Path(part).stem for part in name.parts} & BANNED_NAMES] == []


@pytest.mark.parametrize("module", ["storage/records.py", "storage/errors.py"])
def test_the_records_import_nothing_of_ours(module: str) -> None:
    imported = set(_imports(ast.parse((ROOT / module).read_text(encoding="utf-8"))))
    assert [name for name in imported if name.split(".")[0] in {"gateway", "auth", "storage"}] == []


def test_dialects_see_only_words() -> None:
    words = {"messages", "notices", "since", "codes", "errors", "frames", "wire"}
    allowed = {f"gateway.{word}" for word in words} | {"storage.records"}
    seen = {(path.name, name) for path, tree in _modules("gateway/dialects") for name in _imports(tree)}
    assert seen
    ours = {(path, name) for path, name in seen if name.split(".")[0] in {"gateway", "auth", "storage"}}
    assert {(path, name) for path, name in ours if not name.startswith("gateway.dialects")} == {
        (path, name) for path, name in ours if name in allowed
    }


@pytest.mark.parametrize("lock", ["runtime.txt", "tests.txt", "up.txt"])
def test_locks_pin_by_hash_and_name_no_registry(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    assert "://" not in text
    requirements = text.replace("\\\n", " ").strip().splitlines()
    assert all("==" in line and "--hash=sha256:" in line for line in requirements)


def test_the_node_lock_names_no_registry() -> None:
    assert "://" not in (ROOT / "tests/node/package-lock.json").read_text(encoding="utf-8")


def test_the_readme_lists_every_setting_as_it_is() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = subprocess.run(
        [sys.executable, ROOT / "scripts/settings-table"], capture_output=True, text=True, check=True
    )
    assert table.stdout in readme, "scripts/settings-table --write"
