"""Lighthouse rates the page and the operator's page at 95 of 100 or better, signed out and signed in."""

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE
from pathlib import Path

import httpx
import pytest

from tests.e2e.system import run_system

HERE = Path(__file__).parent
PASSWORD = "a long enough passphrase"
ENOUGH = 95
MESSAGES = 100
KEY = "key-of-the-operator-7Yq2mT"


def _register(url: str, login: str) -> str:
    """A new user's token."""
    account = {"login": login, "password": PASSWORD}
    httpx.post(f"{url}/register", json=account).raise_for_status()
    return str(httpx.post(f"{url}/login", json=account).raise_for_status().json()["access_token"])


def _make_chat(url: str) -> tuple[str, int]:
    """A user's token, and the chat with messages that this user has."""
    ann, _ = _register(url, "ann"), _register(url, "bob")
    headers = {"Authorization": f"Bearer {ann}"}
    body = {"kind": "direct", "members": [{"login": "bob"}]}
    chat_id = httpx.post(f"{url}/api/v1/chats", json=body, headers=headers).raise_for_status().json()["id"]
    items = [{"chat_id": chat_id, "text": f"Message {n}", "client_msg_id": f"m{n}"} for n in range(MESSAGES)]
    httpx.post(f"{url}/api/v1/messages", json={"items": items}, headers={"X-Service-Key": KEY}).raise_for_status()
    return ann, chat_id


@pytest.mark.full
@pytest.mark.alone
@pytest.mark.timeout(1800)  # a page takes a quarter of a minute
@pytest.mark.skipif(
    not (HERE / "node_modules").is_dir(), reason="`npm ci --prefix tests/lighthouse` installs Lighthouse"
)
async def test_lighthouse_rates_the_pages_at_95_or_better(tmp_path: Path) -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with run_system(tmp_path, {"SERVICE_KEYS": f"operator:{KEY}"}) as system:
        token, chat_id = _make_chat(system.url)
        visits = [
            {"url": f"{system.url}/", "session": {}},
            {"url": f"{system.url}/#{chat_id}", "session": {"chat-token": token}},
            {"url": f"{system.url}/console", "session": {}},
            {"url": f"{system.url}/console", "session": {"console-key": KEY}},
        ]
        process = await asyncio.create_subprocess_exec(
            "node", HERE / "rate.mjs", chromium, json.dumps(visits), stdout=PIPE, stderr=PIPE
        )
        output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        results = [json.loads(line) for line in output.splitlines()]
        assert len(results) == 2 * len(visits)
        (tmp_path / "results.json").write_text(json.dumps(results, indent=1))  # kept if the test fails
        assert [one for one in results if min(one["scores"].values()) < ENOUGH] == []
