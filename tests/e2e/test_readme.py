"""The tutorial of the README, run word for word on new and used databases, twice."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import PIPE, STDOUT

import httpx
import pytest

from tests.e2e.system import run_up
from tests.support.servers import wait_until

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
(SECTION,) = re.findall(r"(?ms)^## A first chat in two terminals\n(.*?)^## ", README)
(TERMINAL,) = re.findall(r"(?ms)^```sh\n(.*?)^```$", SECTION)
(MESSAGE,) = re.findall(r"(?ms)^```json\n(.*?)^```$", SECTION)
PRINTED = re.compile(r"(?m)^(\.venv/bin/websockets .+)$")


class Terminal:
    """One terminal: a shell that runs `command` in `folder`, and what stands on its screen."""

    def __init__(self, folder: Path, name: str, command: str) -> None:
        self._output = folder / name
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                ["sh", "-c", command], cwd=folder, stdin=PIPE, stdout=output, stderr=STDOUT, start_new_session=True
            )

    def screen(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")

    def shows(self, text: str) -> bool:
        """Whether `text` comes to stand on the screen before the command ends."""
        with suppress(TimeoutError):
            wait_until(lambda: text in self.screen() or self._process.poll() is not None, f"{text} on the screen")
        return text in self.screen()

    def enter(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def close(self) -> None:
        """Ctrl+D, which ends the interactive client."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


@contextmanager
def open_terminal(folder: Path, name: str, command: str) -> Iterator[Terminal]:
    terminal = Terminal(folder, name, command)
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def used_system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A system with users of the tutorial's names, whose passwords are others, and with chats of theirs."""
    folder = tmp_path / "system"
    folder.mkdir()
    with run_up(folder, {"DATABASE_URL": request.getfixturevalue(request.param)}) as running:
        with httpx.Client(base_url=running.url) as http:
            for login in ("ann", "bob"):
                account = {"login": login, "password": "another long passphrase"}
                http.post("/register", json=account).raise_for_status()
                token = http.post("/login", json=account).json()["access_token"]
                headers = {"Authorization": f"Bearer {token}"}
                http.post("/api/v1/chats", json={"kind": "group"}, headers=headers).raise_for_status()
        yield running.url


def test_tutorial_works_twice_on_a_used_database(used_system: str, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    assert "http://127.0.0.1:8000" in TERMINAL
    command = TERMINAL.replace("http://127.0.0.1:8000", used_system)
    for run in ("first", "second"):
        with open_terminal(tmp_path, f"{run}.ann", command) as ann:
            assert ann.shows("Connected to "), ann.screen()
            (printed,) = PRINTED.findall(ann.screen())
            with open_terminal(tmp_path, f"{run}.bob", printed) as bob:
                assert bob.shows("Connected to "), bob.screen()
                for sender, reader in ((ann, bob), (bob, ann)):
                    text = f"Hello {sender is ann}"
                    sender.enter(MESSAGE.strip().replace("Hello", text))
                    assert reader.shows(f'"{text}"'), f"{sender.screen()}\n\n{reader.screen()}"
        assert "Traceback" not in ann.screen() + bob.screen()
