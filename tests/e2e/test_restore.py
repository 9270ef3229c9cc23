"""Backup and restore with the shell commands of the operations page."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, expect

from tests.deploy.programs import ROOT
from tests.support.cluster import run_cluster

PAGE = (ROOT / "docs/operations.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE[PAGE.index("## Backup and restore") : PAGE.index("## Losing Redis")], re.S)
BACKUP, RESTORE = {"postgres": 0, "sqlite": 1}, {"postgres": 2, "sqlite": 3}
RESTORED = 4


def run(folder: Path, block: int, database_url: str) -> None:
    """Run one of the page's blocks in a folder, with `chat-gateway` on its PATH."""
    program = folder / "bin/chat-gateway"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec env PYTHONPATH="{ROOT}" "{sys.executable}" -m gateway.cli "$@"\n')
    program.chmod(0o755)
    database = urlsplit(database_url).path.strip("/")
    environ = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "APP_ENV": "development",
        "DATABASE_URL": database_url,
        "DATABASE": database,
        "ADMIN_URL": database_url.removesuffix(database) + "postgres",
    }
    ended = subprocess.run(["/bin/sh", "-euc", BLOCKS[block]], cwd=folder, env=environ, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store_url(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A database of this kind: the page's `chat.db`, or one of the session's PostgreSQL."""
    return f"sqlite://{tmp_path / 'chat.db'}" if kind == "sqlite" else str(request.getfixturevalue("postgres_url"))


async def test_client_ahead_of_backup_gets_reset_and_continues(
    kind: str, tmp_path: Path, redis_url: str, store_url: str
) -> None:
    async with run_cluster(tmp_path, redis_url, store_url, MESSAGES_PER_MINUTE=0) as cluster:
        ann, bob = await cluster.user("ann"), await cluster.user("bob")
        chat = await cluster.chat(ann, bob)
        left = await cluster.enter(0, chat, ann)
        for number in range(1, 5):
            await left.say(f"kept {number}")
        run(tmp_path, BACKUP[kind], store_url)
        for number in range(5, 8):
            await left.say(f"lost {number}")
        position = f"{left.frames[0]['epoch']}:7"

        for node in cluster.nodes:
            node.kill()
        run(tmp_path, RESTORE[kind], store_url)
        run(tmp_path, RESTORED, store_url)
        for node in cluster.nodes:
            node.start()

        # With tokens of before, whose key was in the backup. The new history is soon as long as the old one.
        again = await cluster.enter(1, chat, ann, since=0)
        await again.next("caught_up")
        assert [frame["data"]["text"] for frame in again.of_type("message")] == [f"kept {n}" for n in range(1, 5)]
        assert [(await again.say(f"new {number}"))["seq"] for number in range(5, 9)] == [5, 6, 7, 8]
        back = await cluster.enter(0, chat, bob, since=position)
        assert (await back.next("reset"))["last_seq"] == 8
        said = await again.say("new 9")
        assert (await back.next("message"))["data"] == said


async def test_open_page_shows_restored_history(
    kind: str, tmp_path: Path, redis_url: str, store_url: str, chromium: Browser
) -> None:
    async with run_cluster(tmp_path, redis_url, store_url, MESSAGES_PER_MINUTE=0) as cluster:
        ann, bob = await cluster.user("ann"), await cluster.user("bob")
        chat = await cluster.chat(ann, bob)
        first, second = cluster.nodes
        page = await chromium.new_page()
        await page.add_init_script(f"sessionStorage.setItem('chat-token', '{ann.token}')")
        await page.goto(f"{first.url}/#{chat}")
        texts, readers = page.locator(".message:not(.pending) .text"), page.locator(".ticks[data-tick=read]")
        await expect(page.locator("#node")).to_have_attribute("data-state", "live")
        client = await cluster.enter(1, chat, bob)
        for number in range(1, 5):
            await client.say(f"kept {number}")
        await expect(texts).to_have_text([f"kept {number}" for number in range(1, 5)])
        run(tmp_path, BACKUP[kind], store_url)
        for number in range(5, 7):
            await client.say(f"lost {number}")
        await page.fill("#text", "lost 7")
        await page.press("#text", "Enter")
        await expect(texts).to_have_count(7)
        await client.send(type="read_messages", seq=7)
        await expect(readers).to_have_count(1)

        for node in cluster.nodes:
            node.kill()
        await page.fill("#text", "written meanwhile")
        await page.press("#text", "Enter")
        run(tmp_path, RESTORE[kind], store_url)
        run(tmp_path, RESTORED, store_url)
        second.start()
        client = await cluster.enter(1, chat, bob)
        for number in range(5, 9):  # the new history is as long as the old one before the page sees it
            await client.say(f"new {number}")
        first.start()
        await page.evaluate("dispatchEvent(new Event('online'))")  # reconnect now, unless it is connected by itself

        restored = [*(f"kept {number}" for number in range(1, 5)), *(f"new {number}" for number in range(5, 9))]
        await expect(texts).to_have_text([*restored, "written meanwhile"])
        await expect(readers).to_have_count(0)
        await client.say("new 10")
        await expect(texts).to_have_text([*restored, "written meanwhile", "new 10"])
        await client.send(type="read_messages", seq=10)
        await expect(readers).to_have_count(1)
