"""The README's picture of the page, taken from the page: Ann at a desktop, Bob at a phone.

`WRITE_SCREENSHOTS=1 .venv-tests/bin/pytest tests/e2e/test_screenshot.py` takes it anew.
"""

from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, expect

from tests.e2e.system import System
from tests.e2e.windows import PASSWORD, Window, log_in
from tests.support.pictures import keep, side_by_side

PICTURE = Path(__file__).parents[2] / "docs/images/page.png"
NAMES = {"ann": "Ann", "bob": "Bob", "carol": "Carol"}
DESKTOP, PHONE = {"width": 960, "height": 620}, {"width": 340, "height": 620}


@pytest.fixture
def system_with_chats(system: Any) -> System:
    """With a chat of Ann and Bob, and two others of Ann's."""
    with httpx.Client(base_url=system.url) as http:
        headers = {}
        for login, name in NAMES.items():
            account = {"login": login, "password": PASSWORD, "first_name": name}
            http.post("/register", json=account).raise_for_status()
            headers[login] = {"Authorization": f"Bearer {http.post('/login', json=account).json()['access_token']}"}

        def chat(kind: str, title: str, owner: str, *members: str, text: str) -> None:
            body = {"kind": kind, "title": title, "members": [{"login": login} for login in members]}
            made = http.post("/api/v1/chats", json=body, headers=headers[owner]).raise_for_status()
            url = f"/api/v1/chats/{made.json()['id']}/messages"
            http.post(url, json={"text": text}, headers=headers[owner]).raise_for_status()

        chat("group", "Summer trip", "carol", "ann", "bob", text="The tickets are booked.")
        chat("direct", "", "carol", "ann", text="See you on Monday")
        chat("direct", "", "ann", "bob", text="Hi Bob, did the deployment go well?")
    assert isinstance(system, System)
    return system


async def _window(chromium: Browser, url: str, login: str, viewport: Any) -> Window:
    context = await chromium.new_context(viewport=viewport, color_scheme="light", reduced_motion="reduce")
    page = await context.new_page()
    await page.goto(url)
    await log_in(page, login)
    return Window(page, login)


async def _talk(ann: Window, bob: Window) -> None:
    lines = (
        (bob, "Yes. We restarted every node at noon and nobody lost a message."),
        (ann, "I noticed nothing at all!"),
        (ann, "Where can I read how it works?"),
        (bob, "It is all in docs/delivery.md"),
    )
    for count, (speaker, text) in enumerate(lines, start=2):
        await speaker.say(text)
        for window in (ann, bob):
            await expect(window.messages).to_have_count(count)
    await expect(bob.page.locator(".ticks").last).to_have_attribute("aria-label", "Read by Ann")
    await bob.page.reload()  # a page announces at most once in a few seconds that its user is typing
    await expect(bob.messages).to_have_count(5)
    await bob.page.locator("#text").press_sequentially("I can show you")
    await expect(ann.page.locator("#typing")).to_have_text("Bob is typing")


async def test_readme_picture_can_be_taken_and_is_small(chromium: Browser, system_with_chats: System) -> None:
    anns_replica, bobs_replica = system_with_chats.replica_urls
    ann = await _window(chromium, anns_replica, "ann", DESKTOP)
    bob = await _window(chromium, bobs_replica, "bob", PHONE)
    await ann.open_chat_with("Bob")
    await bob.open_chat_with("Ann")
    await _talk(ann, bob)
    keep(PICTURE, await side_by_side(chromium, ann.page, bob.page))
