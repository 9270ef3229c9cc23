"""A long chat on the page: only some of its messages have rows, and none is missing or repeated on the way."""

from pathlib import Path
from urllib.parse import urlsplit

import httpx
from playwright.async_api import Browser, Page, expect

from tests.e2e.system import run_system
from tests.e2e.windows import two_in_a_chat

KEY = {"X-Service-Key": "key-of-shop"}
MESSAGES, BATCH, ROWS = 1_100, 500, 200


async def test_long_chat_is_read_to_its_beginning_and_back(chromium: Browser, tmp_path: Path) -> None:
    with run_system(tmp_path, {"SERVICE_KEYS": "shop:key-of-shop"}) as system:
        alice, bob = await two_in_a_chat(chromium, system.url)
        chat_id = int(urlsplit(alice.page.url).fragment)
        items = [{"chat_id": chat_id, "text": f"No {n}", "client_msg_id": f"m{n}"} for n in range(MESSAGES)]
        async with httpx.AsyncClient(base_url=system.url, headers=KEY) as http:
            for start in range(0, MESSAGES, BATCH):
                body = {"items": items[start : start + BATCH]}
                assert (await http.post("/api/v1/messages", json=body)).status_code == 200
        texts = alice.messages.locator(".text")
        await expect(texts.last).to_have_text(f"No {MESSAGES - 1}")  # the client holds the last 1,000
        await _scroll(alice.page, "log.scrollTop = 0", "!document.getElementById('log-start').hidden")
        assert await _are_in_order(alice.page, first=0)
        await bob.say("meanwhile")
        await expect(alice.page.locator("#jump")).to_be_visible()
        await expect(texts.first).to_have_text("No 0")  # the view stays
        await _scroll(alice.page, "log.scrollTop = log.scrollHeight", "document.getElementById('jump').hidden")
        await expect(texts.last).to_have_text("meanwhile")
        assert await _are_in_order(alice.page, first=MESSAGES + 1 - ROWS)
        await alice.page.locator("#log").focus()
        for _ in range(60):  # the rows of the arrow keys follow the window
            await alice.page.keyboard.press("ArrowUp")
        await expect(alice.page.locator(".message:focus .text")).to_have_text(f"No {MESSAGES + 1 - 60}")
        await _go_to_today(alice.page)
        await expect(alice.page.locator(".message:focus .text")).to_have_text("No 0")
        assert await _are_in_order(alice.page, first=0)
        await alice.say("and back")
        await expect(texts.last).to_have_text("and back")
        await expect(alice.messages).to_have_count(ROWS)


async def _go_to_today(page: Page) -> None:
    """After a reload, when only the last messages are loaded."""
    await page.reload()
    await expect(page.locator(".message .text").last).to_have_text("meanwhile")
    await page.get_by_role("button", name="About this chat").click()
    await page.get_by_label("Go to a day").fill(await page.evaluate("new Date().toLocaleDateString('sv')"))
    await page.get_by_role("button", name="Go", exact=True).click()


async def _scroll(page: Page, step: str, until: str) -> None:
    """Scroll on by `step` until the page is there."""
    program = f"""async () => {{
        const log = document.getElementById("log");
        while (!({until})) {{
            {step};
            await new Promise(requestAnimationFrame);
        }}
    }}"""
    await page.evaluate(program)


async def _are_in_order(page: Page, *, first: int) -> bool:
    """Whether the rows are those of consecutive messages from the first on, as many as a window has."""
    texts = [text for text in await page.locator(".message .text").all_inner_texts() if text.startswith("No ")]
    assert texts == [f"No {number}" for number in range(first, first + len(texts))]
    return len(texts) in (ROWS, ROWS - 1)
