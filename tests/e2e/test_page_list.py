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
    await expect(rows).to_have_count(CHATS)
    await expect(rows.first).to_contain_text("Chat 0.")
    await expect(rows.last).to_contain_text(f"Chat {CHATS - 1}.")
    await rows.first.click()
    await expect(page.locator("#node")).to_have_attribute("data-state", "live")
    async with page.expect_response(lambda response: "/api/v1/chats?" in response.url):
        pass
    await expect(rows).to_have_count(CHATS)
