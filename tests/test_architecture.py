"""Architecture rules beyond the linters; the import contracts are in pyproject.toml, for `lint-imports`."""

import ast
import builtins
import re
import subprocess
import sys
from collections.abc import Collection, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_LINES = 400
MAX_TEST_NAME = 60
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
        if "node_modules" not in path.parts:
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


def test_no_test_imports_from_another() -> None:
    imports = [(path, name) for path, tree in _modules("tests") for name in _imports(tree)]
    assert imports
    assert [(str(path), name) for path, name in imports if ".test_" in name] == []


def test_test_names_have_at_most_60_characters() -> None:
    functions = [(path, node) for path, tree in _modules("tests") for node in ast.walk(tree)]
    names = {
        f"{path.relative_to(ROOT)}::{node.name}"
        for path, node in functions
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }
    assert len(names) > 1000
    assert [name for name in sorted(names) if len(name.partition("::")[2]) > MAX_TEST_NAME] == []


def test_folders_have_at_most_15_modules() -> None:
    packages = ("gateway", "auth", "httpapi", "storage", "loadtests", "benchmarks", "scripts")
    folders = {path.parent for package in packages for path, _ in _modules(package)}
    counts = {str(folder.relative_to(ROOT)): len(list(folder.glob("*.py"))) - 1 for folder in folders}
    assert {name: count for name, count in counts.items() if count > 15 and "migrations" not in name} == {}


def test_no_file_has_a_catch_all_name() -> None:
    names = [path.relative_to(ROOT) for path in _our_files()]
    assert [str(name) for name in names if {Path(part).stem for part in name.parts} & BANNED_NAMES] == []


@pytest.mark.parametrize("module", ["storage/records.py", "storage/reaction_records.py", "storage/errors.py"])
def test_records_import_no_own_package(module: str) -> None:
    imported = set(_imports(ast.parse((ROOT / module).read_text(encoding="utf-8"))))
    own = {name for name in imported if name.split(".")[0] in {"gateway", "auth", "httpapi", "storage"}}
    assert own <= {"storage.reaction_records"}, "these are values too"


def test_dialects_import_only_the_protocol() -> None:
    allowed = {"gateway.errors", "storage.records", "storage.chat_records", "storage.reaction_records"}
    allowed |= {"httpapi.bounded_json", "httpapi.errors"}
    seen = {(path.name, name) for path, tree in _modules("gateway/dialects") for name in _imports(tree)}
    assert seen
    ours = {(path, name) for path, name in seen if name.split(".")[0] in {"gateway", "auth", "httpapi", "storage"}}
    assert {(path, name) for path, name in ours if not name.startswith(("gateway.dialects", "gateway.protocol"))} == {
        (path, name) for path, name in ours if name in allowed
    }


def test_imports_between_modules_have_no_circle() -> None:
    """Those inside functions and under TYPE_CHECKING included; import-linter checks folders."""
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): tree
        for package in ("gateway", "auth", "httpapi", "storage")
        for path, tree in _modules(package)
    }
    imports = {
        name: {_module_of(one, modules) for one in _imported(tree)} - {name, ""} for name, tree in modules.items()
    }
    assert imports["storage.database.store_identity"] >= {"storage.database.database", "storage.errors"}
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the modules


def _imported(tree: ast.Module) -> Iterator[str]:
    """Every name that is imported, as a path: modules, and what is in them."""
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            yield from (name.name for name in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            yield from (f"{statement.module}.{name.name}" for name in statement.names)


def _module_of(path: str, modules: Collection[str]) -> str:
    parent = path.rpartition(".")[0]
    return path if path in modules else parent if parent in modules else ""


@pytest.mark.parametrize("package", ["gateway", "auth", "httpapi", "storage"])
def test_exceptions_of_a_package_are_one_tree(package: str) -> None:
    classes = {
        (path.relative_to(ROOT).as_posix(), node.name): [ast.unparse(base).rpartition(".")[2] for base in node.bases]
        for path, tree in [*_modules(package), *_modules("httpapi")]
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    exceptions = {name for name in dir(builtins) if _is_exception(getattr(builtins, name))}
    while more := {name for (_, name), bases in classes.items() if exceptions & {*bases}} - exceptions:
        exceptions |= more
    ours = {(path, name) for path, name in classes if name in exceptions and path.startswith(package)}
    assert {path for path, _ in ours} == {f"{package}/errors.py"}
    roots = [name for _, name in ours if "Exception" in classes[f"{package}/errors.py", name]]
    assert len(roots) == 1
    tree = ast.get_docstring(ast.parse((ROOT / package / "errors.py").read_text(encoding="utf-8"))) or ""
    assert {name for _, name in ours} <= set(re.findall(r"\w+", tree))


def _is_exception(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)


KEPT_BY_A_MODULE = {"_timeout_queues", "_queues"}
"""By uvicorn's server: it makes the sockets by itself, so that nothing can give them the queues of their server."""
WRITERS = {"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault", "update"}


@pytest.mark.parametrize("package", ["gateway", "auth", "httpapi", "storage"])
def test_no_function_writes_a_global_of_its_module(package: str) -> None:
    written = [(path.name, name) for path, tree in _modules(package) for name in _written_globals(tree)]
    assert [(path, name) for path, name in written if name not in KEPT_BY_A_MODULE] == []


def _written_globals(tree: ast.Module) -> Iterator[str]:
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    targets += [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in (node for function in functions for node in ast.walk(function)):
        match node:
            case ast.Global(names=names_written):
                yield from names_written
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if name in names and attr in WRITERS:
                yield name
            case ast.Attribute(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()) if name in names:
                yield name
            case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()) if name in names:
                yield name
            case ast.Call(func=ast.Name(id="next"), args=[ast.Name(id=name), *_]) if name in names:
                yield name


def test_no_exception_is_raised_within_except_star() -> None:
    """Python before 3.11.4, as Debian 12 has it, wraps it in a group, which no caller expects."""
    handlers = [
        (str(path.relative_to(ROOT)), handler)
        for package in ("gateway", "auth", "storage", "httpapi", "clients", "examples", "tests")
        for path, tree in _modules(package)
        for node in ast.walk(tree)
        if isinstance(node, ast.TryStar)
        for handler in node.handlers
    ]
    assert handlers
    assert [name for name, handler in handlers if any(isinstance(node, ast.Raise) for node in ast.walk(handler))] == []


@pytest.mark.parametrize("lock", ["runtime.txt", "tests.txt", "up.txt"])
def test_lock_files_pin_hashes_and_name_no_registry(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    assert "://" not in text
    requirements = text.replace("\\\n", " ").strip().splitlines()
    assert all("==" in line and "--hash=sha256:" in line for line in requirements)


def test_node_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (ROOT / "tests/node/package-lock.json").read_text(encoding="utf-8")


def test_generated_files_are_up_to_date() -> None:
    """If this fails: scripts/generate, and commit what it wrote."""
    command = [sys.executable, "-m", "scripts.generators", "--check"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_no_two_classes_or_aliases_have_one_name() -> None:
    places: dict[str, list[str]] = {}
    for package in ("gateway", "auth", "httpapi", "storage"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" in path.parts:
                continue
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                names = [node.name] if isinstance(node, ast.ClassDef) else []
                if isinstance(node, ast.Assign):
                    targets = [target.id for target in node.targets if isinstance(target, ast.Name)]
                    names = [name for name in targets if name.lstrip("_")[:1].isupper() and not name.isupper()]
                for name in names:
                    places.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert {name: where for name, where in places.items() if len(where) > 1 and len(name) > 1} == {}
