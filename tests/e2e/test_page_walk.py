"""All of the page in one walk: a replica dies, the network goes, tokens expire and a backup is restored meanwhile."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from tests.deploy.programs import ROOT
from tests.e2e.system import System, run_system
from tests.e2e.windows import Window, two_in_a_chat

LIMIT_S = 200
"""Ends a hang; a token of a minute is renewed within a minute and a half."""
NETWORK_FAULTS = ("net::ERR_", "WebSocket connection to", "status of 50")
"""What the browser says of a replica that is not there."""


async def renewal(page: Page) -> str:
    return str(await page.evaluate("sessionStorage.getItem('chat-refresh-token')"))


async def is_renewed(page: Page, before: str) -> None:
    async with asyncio.timeout(LIMIT_S):
        while await renewal(page) in (before, "None"):
            await asyncio.sleep(0.2)


async def node_of(system: System, window: Window) -> int:
    """The index of the replica that serves the window."""
    shown = await window.page.locator("#node-name").inner_text()
    async with httpx.AsyncClient() as http:
        nodes = [(await http.get(f"{url}/livez")).headers["x-gateway-node"] for url in system.replica_urls]
    return nodes.index(shown)


def copy(source: Path, target: Path) -> None:
    """A backup of a SQLite database, as docs/operations.md makes it."""
    with closing(sqlite3.connect(source)) as database, closing(sqlite3.connect(target)) as backup:
        database.backup(backup)


def restore(backup: Path, database: Path) -> None:
    """As docs/operations.md does it."""
    for name in ("", "-wal", "-shm"):
        Path(f"{database}{name}").unlink(missing_ok=True)
    backup.rename(database)
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "APP_ENV": "development"}
    command = [sys.executable, "-m", "gateway.cli", "migrate", "--restored"]
    subprocess.run(command, env=environ | {"DATABASE_URL": f"sqlite://{database}"}, check=True, capture_output=True)


@pytest.mark.full
@pytest.mark.timeout(900)
async def test_two_windows_agree_whatever_happens(chromium: Browser, tmp_path: Path) -> None:
    settings = {"ACCESS_TOKEN_EXPIRE_MINUTES": "1", "MESSAGES_PER_MINUTE": "0"}
    with run_system(tmp_path, settings) as system:
        alice, bob = windows = await two_in_a_chat(chromium, system.url)
        texts: list[str] = []

        async def both_show(*more: str) -> None:
            texts.extend(more)
            for window in windows:
                await expect(window.page.locator(".message:not(.pending, .failed) .text")).to_have_text(texts)
                await expect(window.page.locator(".pending, .failed")).to_have_count(0)

        # what one does with messages
        await alice.say("Hello")
        await both_show("Hello")
        await bob.messages.last.hover()
        await bob.page.get_by_role("button", name="Reply").last.click()
        await bob.say("Hi")
        await both_show("Hi")
        await expect(alice.page.locator(".quote:not([hidden])")).to_contain_text("Hello")
        await alice.page.press("#text", "ArrowUp")
        await alice.say("Hello, Bob")
        texts[0] = "Hello, Bob"
        await both_show()
        await bob.messages.first.focus()
        await bob.page.keyboard.press("r")
        await bob.page.get_by_role("button", name="Heart").click()
        await expect(alice.page.locator(".reaction")).to_have_count(1)

        # a replica dies in the middle of a message
        dead = system.replicas[await node_of(system, alice)]
        await alice.page.locator("#text").press_sequentially("This is sen")
        dead.kill()
        await alice.page.locator("#text").press_sequentially("t once")
        await alice.page.press("#text", "Enter")
        await both_show("This is sent once")
        await bob.say("and answered once")
        await both_show("and answered once")
        dead.start()

        # one of them has no network
        await alice.page.context.set_offline(True)
        await expect(alice.page.locator("#banner")).to_contain_text("You are offline.")
        for text in ("written offline", "and more of it"):
            await alice.say(text)
        await bob.say("meanwhile")
        await expect(bob.messages.last.locator(".text")).to_have_text("meanwhile")
        await alice.page.context.set_offline(False)
        await both_show("meanwhile", "written offline", "and more of it")

        # the tokens of both expire
        before = [await renewal(window.page) for window in windows]
        for window, old in zip(windows, before, strict=True):
            await is_renewed(window.page, old)
        await alice.say("with a new token")
        await bob.say("with a new token too")
        await both_show("with a new token", "with a new token too")

        # a backup is restored under them
        database, backup = tmp_path / "chat.db", tmp_path / "copy.db"
        copy(database, backup)
        await alice.say("after the backup")
        await expect(bob.messages.last.locator(".text")).to_have_text("after the backup")
        for replica in system.replicas:
            replica.kill()
        await bob.say("written without a server")
        restore(backup, database)
        for replica in system.replicas:
            replica.start()
        await both_show("written without a server")
        await alice.say("and on")
        await both_show("and on")
        for window in windows:
            await window.page.reload()
        await both_show()
        faults = [fault for window in windows for fault in window.faults]
        assert [one for one in faults if not any(known in one for known in NETWORK_FAULTS)] == []
