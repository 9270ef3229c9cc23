"""No log of a process that tests start may hold a secret: a test that leaves one in a log fails.

Every `*.log` in a test's own folder is read when its fixtures have ended; servers of longer life are checked by the
fixture that stops them.
"""

import re
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import pytest

from gateway.config.settings import known_settings
from httpapi.service_keys import parse_key

PASSWORDS: Final = (
    "correct horse",
    "wrong horse",
    "a long enough passphrase",
    "another long passphrase",
    "password123",
)
"""Those with which tests register users."""
NOTED: Final = "secrets-of-tests.txt"
"""In the folder of a process: the secrets in its settings, one a line."""
MIN_LENGTH: Final = 8
"""Shorter values, such as the password `postgres` without a word of ours, are names of other things too."""
_WELL_KNOWN: Final = frozenset({"postgres"})
SHAPES: Final = {
    "a JWT": re.compile(rb"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"),
    "a refresh token": re.compile(rb"rt_[0-9a-f]{32}_[\w-]{43}"),
    "a ticket": re.compile(rb"tkt_[\w-]{16,}"),
    "a bearer token": re.compile(rb"[Bb]earer [\w.~+/-]{8,}"),
    "the user of a URL": re.compile(rb"://[^/?#\s:@\"'\\]*:[^/?#\s@\"'\\]+@"),
}


def note_secrets(folder: Path, settings: Mapping[str, object]) -> None:
    """Let the check of this folder look for the secrets among these settings of a process."""
    secret = {known.name.upper() for known in known_settings() if known.metadata["secret"]}
    values = {value for name, text in settings.items() if name in secret for value in _parts(name, str(text))}
    with (folder / NOTED).open("a") as file:
        file.writelines(f"{value}\n" for value in sorted(values))


def _parts(name: str, text: str) -> Iterator[str]:
    if name == "SERVICE_KEYS":
        keys = [parse_key(each).key for each in text.split(",") if each]
    elif "://" in text:
        keys = [unquote(urlsplit(url).password or "") for url in text.split(",")]
    else:
        keys = [text]
    return (key for key in keys if len(key) >= MIN_LENGTH and key not in _WELL_KNOWN)


def secrets_in_logs(folder: Path) -> list[str]:
    """The lines of the logs below this folder that hold a secret, without it."""
    noted = {line for path in folder.rglob(NOTED) for line in path.read_text().splitlines()}
    shapes = SHAPES | {
        f"a secret of {len(value)} characters": re.compile(re.escape(value.encode()))
        for value in sorted({*noted, *PASSWORDS})
    }
    found: list[str] = []
    for path in sorted(folder.rglob("*.log")):
        text = path.read_bytes()
        for what, shape in shapes.items():
            found += [f"{path.name}: {_line(text, match, what)}" for match in shape.finditer(text)]
    return found


def _line(text: bytes, match: re.Match[bytes], what: str) -> str:
    """The line of a match, with every secret of its shape removed, and not more than around it."""
    start = max(text.rfind(b"\n", 0, match.start()) + 1, match.start() - 200)
    before = re.sub(match.re, b"*", text[start : match.start()])
    return f"{before.decode(errors='replace')}<{what}>"


def fail_on_secrets(folder: Path) -> None:
    """Fail if a log below this folder holds a secret."""
    if found := secrets_in_logs(folder):
        pytest.fail("a log holds a secret:\n" + "\n".join(found[:20]), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Check the test's own folder, once its processes have ended."""
    yield
    folder = (getattr(item, "funcargs", None) or {}).get("tmp_path")
    if folder is not None:
        fail_on_secrets(folder)
