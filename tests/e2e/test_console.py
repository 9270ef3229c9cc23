"""The operator's page at `/console` in a real browser, on a system of two replicas under `up`."""

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.e2e.axe import violations
from tests.e2e.system import run_system
from tests.up.run import Up

PASSWORD = "a long enough passphrase"
WITHOUT_CONNECTION = re.compile("net::ERR_|WebSocket connection to .* failed")
"""What the browser says of requests that a stopped replica does not answer any more."""
LIMITED = "limited-key-u9Yq2mTz7cKp"


@pytest.fixture
def up(tmp_path: Path) -> Any:
    """Two replicas with their own Redis, and a key of another service beside the console's."""
    run = Up(tmp_path, program=("-m", "gateway.cli"), environ={"SERVICE_KEYS": f"shop:{LIMITED}:users"})
    try:
        yield run.start()
    finally:
        run.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium: Browser) -> AsyncIterator[Page]:
    faults: list[str] = []
    page = await (await chromium.new_context()).new_page()
    page.on("console", lambda message: faults.extend([message.text] * (message.type == "error")))
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    known = re.compile(f"{WITHOUT_CONNECTION.pattern}|status of 40[34]")
    assert [fault for fault in faults if not known.search(fault)] == []


def address(up: Up) -> str:
    """As `up` prints it."""
    found = re.search(r"http://\S+/console#key=\S+", up.output())
    assert found is not None
    return found[0]


async def test_operator_watches_stops_and_moderates(up: Up, page: Page) -> None:
    url = address(up)
    await page.goto(up.url + "/console")
    assert await violations(page) == []
    await page.get_by_label("Service key").fill(LIMITED)
    await page.get_by_role("button", name="Open").click()
    await expect(page.get_by_role("alert")).to_have_text("The service key does not have the scope `admin`.")

    await page.goto("about:blank")
    await page.goto(url)
    await expect(page.locator(".replica[data-state=ready]")).to_have_count(2)
    assert page.url == up.url + "/console"  # the key is not in the history
    await _see_the_promise_kept(page)
    await _moderate(up, page, url.partition("=")[2])
    await _read_settings(page, url.partition("=")[2])
    await page.get_by_role("button", name="Forget the key").click()
    await expect(page.get_by_label("Service key")).to_be_visible()
    await page.reload()
    await expect(page.get_by_label("Service key")).to_be_visible()


async def _see_the_promise_kept(page: Page) -> None:
    verdict, events = page.locator("#promised-sum"), page.locator("#promised-events")
    await page.get_by_role("button", name="Start").click()
    await expect(verdict).to_contain_text(re.compile(r"each of 4 clients got [1-9]"))
    for _ in range(2):  # whichever replica the clients use
        replica = page.locator(".replica[data-state=ready]").first
        name = await replica.get_attribute("data-replica")
        await replica.get_by_role("button", name="Stop").click()
        await expect(page.locator(f'[data-replica="{name}"]')).to_have_attribute("data-state", "gone")
        await expect(page.locator(".replica[data-state=ready]")).to_have_count(2)
    await expect(events).to_contain_text(re.compile(r"Client \d: \d+ messages caught up in \d+ ms"))
    await page.get_by_role("button", name="Cut Redis").click()
    await expect(events).to_contain_text("Redis was cut for 5 s.")
    await expect(page.locator("#replicas-sum")).to_contain_text("1 replica ·")  # each knows itself only
    await expect(page.locator("#replicas-sum")).to_contain_text("2 replicas ·")
    stored = int((await verdict.inner_text()).split(" ")[0])
    await expect(verdict).not_to_contain_text(f"got {stored} ")  # it goes on
    await page.get_by_role("button", name="End").click()
    assert await violations(page) == []
    await expect(verdict).to_have_attribute("data-wrong", "0")


async def _moderate(up: Up, page: Page, key: str) -> None:
    async with httpx.AsyncClient(base_url=up.url, headers={"X-Service-Key": key}) as http:
        ann = (await http.post("/register", json={"login": "ann", "password": PASSWORD})).json()["id"]
        chat = {"kind": "group", "title": "Order 7", "key": "order-7", "members": [{"user_id": ann}]}
        chat_id = (await http.post("/api/v1/chats", json=chat)).json()["id"]
        await page.get_by_role("link", name="Users").click()
        await page.get_by_role("textbox", name="User").fill("ANN")
        await page.get_by_role("button", name="Find").click()
        user = page.locator("#user")
        await expect(user.locator(".chip")).to_have_text("not banned")
        await user.get_by_role("button", name=str(chat_id)).click()
        await expect(page.locator("#chat h3")).to_have_text("Order 7")
        await http.post(f"/api/v1/chats/{chat_id}/messages", json={"text": "<img src=x onerror=alert(1)>"})
        await expect(page.locator("#tail p")).to_have_text(["<img src=x onerror=alert(1)>"])
        await http.post("/api/v1/chats/key:order-7/messages", json={"text": "second"})
        await expect(page.locator("#tail p")).to_have_count(2)
        assert await violations(page) == []
        await page.get_by_role("link", name="Users").click()
        await user.get_by_role("button", name="Disconnect").click()
        await expect(user.get_by_role("status")).to_have_text("All sockets of the user were closed.")
        assert await violations(page) == []
        await user.get_by_label("Reason of the ban").fill("spam <b>")
        await user.get_by_role("button", name="Ban").click()
        await expect(user.locator(".chip")).to_have_text("banned")
        assert (await http.get(f"/api/v1/users/{ann}/ban")).json()["reason"] == "spam <b>"
        await user.get_by_role("button", name="Lift the ban").click()
        await expect(user.locator(".chip")).to_have_text("not banned")
        await page.get_by_role("link", name="Webhooks").click()
        await expect(page.locator("#webhooks")).to_have_text("No webhooks are set up.")


async def _read_settings(page: Page, key: str) -> None:
    await page.get_by_role("link", name="Settings").click()
    await page.get_by_label("Search").fill("service_keys")
    await expect(page.locator("#settings tbody tr")).to_have_count(1)
    await expect(page.locator("#settings tbody td").nth(1)).to_have_text("shop (users) console (all scopes)")
    assert await violations(page) == []
    assert key not in await page.content()


async def test_console_is_russian_for_who_reads_it(chromium: Browser, tmp_path: Path) -> None:
    key = "key-of-the-operator-u9Yq2mTz7cKp"
    with run_system(tmp_path, {"SERVICE_KEYS": f"operator:{key}"}) as system:
        async with httpx.AsyncClient(base_url=system.url, headers={"X-Service-Key": key}) as http:
            ann = (await http.post("/register", json={"login": "ann", "password": PASSWORD})).json()["id"]
            chat = {"kind": "group", "title": "Заказ 7", "members": [{"user_id": ann}]}
            chat_id = (await http.post("/api/v1/chats", json=chat)).json()["id"]
            await http.post(f"/api/v1/chats/{chat_id}/messages", json={"text": "Заказ оплачен."})
        page = await (await chromium.new_context(locale="ru-RU")).new_page()
        await page.goto(f"{system.url}/console")
        await page.get_by_label("Служебный ключ").fill(key)
        await page.get_by_role("button", name="Открыть").click()
        await expect(page.locator("#replicas-sum")).to_contain_text("2 реплики · ")
        await expect(page.locator(".replica .chip")).to_have_text(["готова", "готова"])
        assert await _english(page) == []
        await page.get_by_role("link", name="Пользователи").click()
        await page.get_by_role("textbox", name="Пользователь").fill("ann")
        await page.get_by_role("button", name="Найти").click()
        await page.locator("#user").get_by_role("button", name=str(chat_id)).click()
        await expect(page.locator("#tail p")).to_have_text(["Заказ оплачен."])
        assert await _english(page) == []
        with closing(sqlite3.connect(tmp_path / "chat.db")) as database, database:
            database.execute("INSERT INTO outbox_positions (endpoint, after_id, gaps) VALUES ('former', 0, '')")
        await page.get_by_role("link", name="Вебхуки").click()
        await expect(page.locator("#webhooks td").first).to_have_text("former (удалён)")
        page.once("dialog", lambda dialog: dialog.accept())
        await page.locator("#webhooks").get_by_role("button", name="Удалить").click()
        await expect(page.locator("#webhooks")).to_have_text("Вебхуки не настроены.")
        assert await _english(page) == []
        await page.get_by_role("link", name="Настройки").click()
        await expect(page.locator("#settings th").first).to_have_text("настройка")
        assert await violations(page) == []
        await page.get_by_role("button", name="Забыть ключ").click()
        await expect(page.locator("#key")).to_be_visible()
        assert await page.evaluate("document.documentElement.lang") == "ru"


async def _english(page: Page) -> list[str]:
    """Every shown text that is not translated, though it is neither an identifier nor a text of a user."""
    texts = (await page.locator("body").inner_text()).splitlines()
    replicas = await page.locator(".replica h3").all_inner_texts()
    known = re.compile("|".join([*map(re.escape, replicas), r"\b(Redis|ann|id|group|seq|sub|key:order-7|operator)\b"]))
    return [text for text in texts if re.search("[A-Za-z]{2}", known.sub("", text))]
