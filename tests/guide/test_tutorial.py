"""The tutorial as a reader follows it: the files of the page in an empty folder, the commands of the page, two windows.

`WRITE_SCREENSHOTS=1 .venv-tests/bin/pytest tests/guide/test_tutorial.py` takes its picture anew.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.system import System
from tests.guide.snippets import ROOT, snippets
from tests.support.pictures import keep, side_by_side
from tests.support.servers import answers, free_port, wait_until

PAGES = ("docs/tutorial.md", "docs/ru/tutorial.md")
SNIPPETS = snippets(PAGES[0])
(INDEX,) = [each.code for each in SNIPPETS if each.file == "index.html"]
BACKENDS = {each.section: each for each in SNIPPETS if each.file is not None and each.file.startswith("app.")}
COMMANDS = {each.section: each.code.splitlines() for each in SNIPPETS if each.language == "sh"}
GATEWAY = "http://127.0.0.1:8000"
INSTALLS = ("python3 -m venv", ".venv/bin/pip install", "npm install")
PICTURE = ROOT / "docs/images/tutorial.png"


@contextmanager
def running_app(name: str, gateway: str, folder: Path) -> Iterator[str]:
    """The URL of a backend of the tutorial, started by its last command; what the others install is there already."""
    port = free_port()
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "node_modules").symlink_to(ROOT / "tests/node/node_modules")
    backend = BACKENDS[name]
    assert backend.file is not None
    (folder / "index.html").write_text(INDEX.replace(GATEWAY, gateway), encoding="utf-8")
    (folder / backend.file).write_text(
        backend.code.replace(GATEWAY, gateway).replace("8100", str(port)), encoding="utf-8"
    )
    *installs, start = COMMANDS[name]
    assert installs
    assert [command for command in installs if not command.startswith(INSTALLS)] == []
    log = folder / "app.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["sh", "-c", start.replace("8100", str(port))],
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        wait_until(lambda: answers(port, request, b"HTTP/1.1 200") or process.poll() is not None, "the app is up")
        assert process.poll() is None, log.read_text()
        yield f"http://127.0.0.1:{port}"
        assert "Traceback" not in log.read_text(), log.read_text()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def open_window(chromium: Browser, app: str, name: str) -> Page:
    context = await chromium.new_context(viewport={"width": 420, "height": 120})
    page = await context.new_page()
    await page.goto(f"{app}/?name={name}")
    return page


async def say(page: Page, text: str) -> None:
    await page.get_by_placeholder("Message").fill(text)
    await page.get_by_placeholder("Message").press("Enter")


@pytest.mark.parametrize("name", BACKENDS)
async def test_two_windows_talk_over_two_replicas(name: str, chromium: Browser, system: System, tmp_path: Path) -> None:
    with running_app(name, system.url, tmp_path) as app:
        windows = []
        for user, replica in zip(("Ann", "Bob"), system.replica_urls, strict=True):
            (tmp_path / "index.html").write_text(INDEX.replace(GATEWAY, replica), encoding="utf-8")
            windows.append(await open_window(chromium, app, user))
        ann, bob = windows
        await say(ann, f"Is it {name}?")
        await expect(bob.locator("li").last).to_have_text(f"Ann: Is it {name}?")
        await say(bob, "It is.")
        for window in windows:
            await expect(window.locator("li").last).to_have_text("Bob: It is.")
            await expect(window.locator("li", has_text=name)).to_have_count(1)
        if name == "FastAPI":  # the first one, so the picture has nothing of the others
            keep(PICTURE, await side_by_side(chromium, ann, bob))


def test_page_and_backends_are_short() -> None:
    assert list(BACKENDS) == ["FastAPI", "Django", "Express"]
    assert [code for code in (INDEX, *(each.code for each in BACKENDS.values())) if code.count("\n") > 30] == []


def test_translations_have_the_same_code() -> None:
    for page in PAGES[1:]:
        assert [each.code for each in snippets(page)] == [each.code for each in SNIPPETS], page
