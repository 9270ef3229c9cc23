"""Every regular expression of the services, found in their source, reads 64 KB of hostile text in linear time."""

import ast
import importlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import compile_path

ROOT = Path(__file__).parents[1]
PACKAGES = ("gateway", "auth", "storage")
TRUSTED = {
    "gateway/config/sources.py": "reads the operator's own file, once",
    "gateway/config/redis_url.py": "reads the operator's own setting, once",
}
"""Files whose patterns never see outside input, and why."""

SIZE = 64 * 1024
BOUND_S = 0.010
MAX_GROWTH = 8
"""What four times the input may cost on a machine too slow for BOUND_S: a quadratic pattern takes sixteen times."""

CHARACTERS = ("!", " ", "a", "0", "-", ",", ":", "/", "@", ".", "=", '"', "[", "{", "$")
UNITS = (*CHARACTERS, "a,", "a ,", "a ", "0:", "a/", "a@", "{a", "{a:", "$1", "eyJ", "tkt_", "://")
WORDS = ("token=", "bearer ", "bearer,", "password: '", "eyJaaaaaaaaaaaa.", "://a", "http://")
PREFIXES = ("", "a", "https://[", "bearer")
SUFFIXES = ("", "\xff", "\x00")


@dataclass(frozen=True)
class Found:
    """A pattern and where it is."""

    place: str
    pattern: str | bytes
    flags: int


def _patterns() -> Iterator[Found]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            source = path.read_text(encoding="utf-8")
            if name in TRUSTED or not re.search(r"\bre\.[a-z]+\(|\bpattern\b|\bregex\b", source):
                continue
            tree = ast.parse(source)
            module = ".".join(Path(name).with_suffix("").parts)
            for node in ast.walk(tree):
                for pattern, flags in _of(node):
                    yield Found(f"{name}:{node.lineno}", _value(pattern, module), _value(flags, module) if flags else 0)


def _of(node: Any) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """The patterns that this node gives, each with its flags: calls of `re`, schemas, and routes' parameters."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name("re"), attr=function), args=args, keywords=keywords):
            position = {"compile": 1, "match": 2, "fullmatch": 2, "search": 2, "findall": 2, "finditer": 2}
            after = position.get(function, 4 if function in ("sub", "subn") else 3)
            named = [keyword.value for keyword in keywords if keyword.arg == "flags"]
            yield args[0], (named or args[after:] or [None])[0]
        case ast.keyword(arg="pattern", value=value) if not isinstance(value, ast.Attribute):
            yield value, None
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "pattern" and not isinstance(value, ast.Attribute):
                    yield value, None
        case ast.Assign(targets=[ast.Name(id="regex" | "pattern")], value=value):
            yield value, None


def _value(expression: ast.expr, module: str) -> Any:
    """What a constant expression of a module is; one that is none has no place in a pattern."""
    names = vars(importlib.import_module(module))
    code = compile(ast.Expression(expression), module, "eval")
    try:
        return eval(code, {**names})
    except NameError:  # local to a function, and found where it is assigned
        assert isinstance(expression, ast.Name) and expression.id == "pattern", (module, ast.unparse(expression))
        return ""


def _routes() -> Iterator[Found]:
    """The paths that Starlette makes patterns of."""
    for path in (
        "/ws/{client_id:any_text}",
        "/updates/{room_id:any_text}/",
        "/ws/chat/{chat_id}/",
        "/api/v1/clients/{client_id:any_text}/send",
        "/api/v1/chats/{chat_id}/members/{user_id}",
    ):
        yield Found(path, compile_path(path)[0].pattern, 0)


def _scripts() -> Iterator[Found]:
    """The literals of the page's scripts; their syntax is Python's too."""
    for path in sorted((ROOT / "web").rglob("*.js")):
        for literal in re.finditer(r"[(= ]/((?:[^/\\\n* ]|\\.)+)/[a-z]*[.,)]", path.read_text(encoding="utf-8")):
            yield Found(str(path.relative_to(ROOT)), literal[1], 0)


importlib.import_module("gateway.http.parameters")  # registers `any_text`
FOUND = [*_patterns(), *_routes(), *_scripts()]


def _hostile(prefixes: tuple[str, ...]) -> Iterator[str]:
    for unit in (*UNITS, *WORDS):
        body = unit * (SIZE // len(unit))
        for prefix in prefixes:
            for suffix in SUFFIXES:
                yield prefix + body + suffix


def _cost(pattern: re.Pattern[Any], text: Any) -> float:
    """CPU seconds of the dearest way to use it, the best of up to three: another process may have held the cache."""
    best = float("inf")
    for _ in range(3):
        begin = time.process_time()
        pattern.fullmatch(text)
        middle = time.process_time()
        pattern.search(text)
        best = min(best, max(middle - begin, time.process_time() - middle))
        if best <= BOUND_S:
            break
    return best


def _reads_in_time(pattern: re.Pattern[Any], text: str) -> bool:
    def of(size: int) -> Any:
        shown = text[: size // 2] + text[-size // 2 :]
        return shown if isinstance(pattern.pattern, str) else shown.encode("latin-1")

    quarter = _cost(pattern, of(SIZE // 4))
    if quarter > BOUND_S * MAX_GROWTH:
        return False  # nor is there time to try the whole
    whole = _cost(pattern, of(SIZE))
    return whole <= BOUND_S or whole <= MAX_GROWTH * quarter


@pytest.mark.parametrize("found", FOUND, ids=lambda found: found.place)
def test_pattern_takes_at_most_10_ms_for_hostile_text(found: Found) -> None:
    pattern = re.compile(found.pattern, found.flags)  # type: ignore[type-var]
    prefixes = (found.place.partition("{")[0],) if found.place.startswith("/") else PREFIXES
    slow = (f"{text[:20]}…{text[-3:]}" for text in _hostile(prefixes) if not _reads_in_time(pattern, text))
    assert next(slow, None) is None


def test_every_form_of_pattern_is_found() -> None:
    places = {found.place.split(":")[0] for found in FOUND}
    users = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "import re\n" in path.read_text(encoding="utf-8")
    }
    assert users - places - set(TRUSTED) == set()
    assert set(TRUSTED) <= users
    assert {"gateway/api/chats/chats.py", "gateway/asyncapi/fields.py", "gateway/http/parameters.py"} <= places
    assert any(found.pattern == "^[^\\x00]*$" for found in FOUND), "what msgspec holds bodies against"
    assert {"[.!?]$", r"[\s,]+", "^http"} <= {found.pattern for found in FOUND if found.place.startswith("web/")}


def test_quadratic_pattern_is_detected() -> None:
    quadratic = re.compile(r"^[\t\x20-\x7e]*[\x21-\x7e][\t\x20-\x7e]*$")
    assert not _reads_in_time(quadratic, "!" * SIZE + "\xff")
