"""The page's list of more chats than one page of the API has."""

from typing import Any

import httpx
from playwright.async_api import Browser, expect

from tests.e2e.windows import PASSWORD, log_in

CHATS = 205


async def test_page_lists_more_chats_than_one_page_of_the_api(chromium: Browser, system: Any) -> None:
    async with httpx.AsyncClient(base_url=system.url) as http:
        await http.post("/register", json={"login": "ann", "password": PASSWORD})
        token = (await http.post("/login", json={"login": "ann", "password": PASSWORD})).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        for number in range(CHATS):
            body = {"kind": "group", "title": f"Chat {number}."}
            answer = await http.post("/api/v1/chats", json=body, headers=headers)
            assert answer.status_code == 201, answer.text
    page = await (await chromium.new_context()).new_page()
    await page.goto(system.url)
    await log_in(page, "ann")
    rows = page.locator(".chat-row")
    await expect(rows.first).to_contain_text(f"Chat {CHATS - 1}.")  # by activity
    await page.get_by_label("Search my chats").fill("chat 0.")  # on the last page
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("Chat 0.")
    await rows.first.click()
    await expect(page.locator("#node")).to_have_attribute("data-state", "live")
    await page.get_by_label("Search my chats").fill("")
    await expect(rows).to_have_count(CHATS)
    await page.fill("#text", "first again")
    await page.press("#text", "Enter")
    await expect(rows.first).to_contain_text("Chat 0.")
    await expect(rows.first).to_contain_text("You: first again")
    await page.reload()
    await expect(page.locator("#node")).to_have_attribute("data-state", "live")
    await expect(rows.first).to_have_attribute("aria-current", "page")
    await page.locator("#chat-nav").hover()
    for _ in range(CHATS // 50):
        known = await rows.count()
        await page.locator("#chat-nav").evaluate("(list) => list.scrollTo(0, list.scrollHeight)")
        await expect(rows).not_to_have_count(known)
    await expect(rows).to_have_count(CHATS)
