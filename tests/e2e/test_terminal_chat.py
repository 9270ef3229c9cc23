"""`chat-gateway chat`: two people talk from their terminals, over a system whose balancer goes away meanwhile."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.system import System
from tests.support.servers import NginxServer, wait_until

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery"


class _Terminal:
    """A running `chat-gateway chat`; what is typed goes through a pipe."""

    def __init__(self, folder: Path, login: str, *words: str, password: str = PASSWORD) -> None:
        self._output = folder / f"{login}-{len(list(folder.iterdir()))}.txt"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway.cli", "chat", "--as", login, *words],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=folder,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "CHAT_GATEWAY_PASSWORD": password},
            )

    def type(self, *lines: str) -> None:
        """Type these lines."""
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines).encode())
        self.process.stdin.flush()

    @property
    def lines(self) -> list[str]:
        """What it shows."""
        return self._output.read_text().splitlines()

    def said(self, login: str) -> list[str]:
        """What this user has said, as it shows it."""
        return [line for line in self.lines if line.startswith(f"{login}: ")]

    def wait_for(self, line: str) -> None:
        """Wait until it shows this line."""
        wait_until(lambda: line in self.lines or self.process.poll() is not None, line)
        assert line in self.lines, self.lines

    def end(self) -> int:
        """End its input, and wait; returns the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(60)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()


def test_two_terminals_talk_and_miss_nothing(tmp_path: Path, system: System) -> None:
    (tmp_path / "nginx").mkdir()
    balancer = NginxServer(tmp_path / "nginx", [urlsplit(url).port or 0 for url in system.replica_urls])
    balancer.start()
    terminals: list[_Terminal] = []

    def terminal(login: str, *words: str, password: str = PASSWORD) -> _Terminal:
        terminals.append(_Terminal(tmp_path, login, *words, "--url", balancer.url, password=password))
        return terminals[-1]

    try:
        ann = terminal("ann", "--with", "bob")
        ann.wait_for("* Waiting for bob to register: chat-gateway chat --as bob --with ann")
        bob = terminal("bob", "--with", "ann")
        for one in (ann, bob):
            one.wait_for("* Connected. Type a line and press Enter; Ctrl+D ends.")
        ann.type("one", "", "a \x1b]0;title\x07 b")
        bob.wait_for("ann: a \ufffd]0;title\ufffd b")

        balancer.stop()
        ann.wait_for("* The connection is lost; trying again …")
        ann.type("two", "three")
        bob.type("four")
        balancer.start()
        bob.wait_for("ann: three")
        ann.wait_for("bob: four")
        assert bob.said("ann") == ["ann: one", "ann: a \ufffd]0;title\ufffd b", "ann: two", "ann: three"]
        assert ann.said("bob") == ["bob: four"]
        assert "* Connected again." in ann.lines

        again = terminal("bob", "--with", "ann")  # the direct chat is the same, and has its history
        again.wait_for("ann: three")
        bob.wait_for("chat-gateway: You have opened this chat somewhere else, which replaced this connection.")
        assert bob.process.wait(60) == 1
        again.type("five")
        assert again.end() == 0  # after the line was acknowledged
        ann.wait_for("bob: five")
        assert ann.end() == 0

        stranger = terminal("ann", "--with", "bob", password="another long passphrase")
        assert stranger.process.wait(60) == 1
        assert stranger.lines == ["chat-gateway: The login or the password is wrong."]
        lost = terminal("bob", "--chat", "key:nothing")
        assert lost.process.wait(60) == 1
        assert len(lost.lines) == 1
    finally:
        for one in terminals:
            one.kill()
        balancer.stop()


@pytest.mark.parametrize("url", ["chat.example.com", "ftp://chat.example.com", "http://"])
def test_url_that_is_none_is_named(url: str, tmp_path: Path) -> None:
    terminal = _Terminal(tmp_path, "ann", "--with", "bob", "--url", url)
    assert terminal.end() == 1
    assert terminal.lines == [f"chat-gateway: {url} is no URL; give one like http://127.0.0.1:8000."]
