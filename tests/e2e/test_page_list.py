"""The page's list of chats: more than one page of the API has, and the choice of one."""

import asyncio
import re
from typing import Any

import httpx
import orjson
from playwright.async_api import Browser, WebSocketRoute, expect

from tests.e2e.windows import PASSWORD, log_in, two_in_a_chat

CHATS = 205
# A browser may paint between a change of the URL and the event of it: here it does, until `release()`.
HELD_HASHCHANGE = """
addEventListener("hashchange", (event) => event.isTrusted && event.stopImmediatePropagation());
globalThis.release = () => dispatchEvent(new HashChangeEvent("hashchange"));
"""
TWO_FRAMES = "new Promise((shown) => requestAnimationFrame(() => requestAnimationFrame(shown)))"


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


async def test_chosen_chat_stays_when_the_shown_one_closes_late(chromium: Browser, system: Any) -> None:
    alice, bob = await two_in_a_chat(chromium, system.url)
    page, own = alice.page, alice.page.url
    closing: asyncio.Future[tuple[WebSocketRoute, str | bytes]] = asyncio.get_running_loop().create_future()

    def pass_on(link: WebSocketRoute) -> None:
        def hold_error(frame: str | bytes) -> None:
            if orjson.loads(frame)["type"] != "error":
                link.send(frame)
            elif not closing.done():
                closing.set_result((link, frame))

        link.connect_to_server().on_message(hold_error)

    await page.route_web_socket(re.compile("/ws/"), pass_on)
    await page.add_init_script(HELD_HASHCHANGE)
    await page.goto("about:blank")  # else the present document would follow the URL
    await page.goto(f"{system.url}#999999")  # a chat of others
    async with asyncio.timeout(60):
        link, error = await closing
    await page.locator(".chat-row", has_text=bob.login).click()
    await expect(page).to_have_url(own)
    link.send(error)
    await page.evaluate(TWO_FRAMES)
    await page.evaluate("release()")
    await expect(page.locator("#node")).to_have_attribute("data-state", "live")
    assert page.url == own
