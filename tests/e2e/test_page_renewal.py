"""The page renews its login when the server refuses the token, and shows the login form when that is refused too."""

import asyncio
from typing import Any

import httpx
from playwright.async_api import Browser, Page, Route, expect

from tests.e2e.windows import log_in, two_in_a_chat

TOKEN, RENEWAL = "chat-token", "chat-refresh-token"


async def stored(page: Page, name: str) -> str:
    return str(await page.evaluate("name => sessionStorage.getItem(name)", name))


async def spoil_token(page: Page) -> None:
    """Give the page a token that the server refuses, as an expired one."""
    token = await stored(page, TOKEN)
    await page.evaluate("([name, value]) => sessionStorage.setItem(name, value)", [TOKEN, f"{token[:-8]}AAAAAAAA"])
    await page.reload()


async def test_refused_token_is_renewed_and_chat_goes_on(chromium: Browser, system: Any) -> None:
    alice, bob = await two_in_a_chat(chromium, system.url)
    first = await stored(alice.page, RENEWAL)
    await spoil_token(alice.page)
    await expect(alice.page.locator("#node")).to_have_attribute("data-state", "live", timeout=20_000)
    await alice.say("still here")
    await expect(bob.messages.locator(".text")).to_have_text(["still here"])
    assert await stored(alice.page, RENEWAL) not in ("None", first)
    await alice.page.reload()
    await expect(alice.page.locator("#node")).to_have_attribute("data-state", "live", timeout=20_000)


async def test_session_ended_elsewhere_shows_the_login(chromium: Browser, system: Any) -> None:
    alice, _ = await two_in_a_chat(chromium, system.url)
    body = {"everywhere": True, "refresh_token": await stored(alice.page, RENEWAL)}
    httpx.post(f"{system.url}/api/v1/logout", json=body).raise_for_status()
    await expect(alice.page.locator("#login-error")).to_contain_text("Your session has ended.", timeout=20_000)
    assert await stored(alice.page, RENEWAL) == "None"


async def renewed(*pages: Page, before: str) -> str:
    """The refresh token of these pages, once it is another one and the same in all."""
    async with asyncio.timeout(20):
        while len(tokens := {await stored(page, RENEWAL) for page in pages}) > 1 or before in tokens:
            await asyncio.sleep(0.05)
    return tokens.pop()


async def test_duplicated_tab_follows_renewals_of_the_other(chromium: Browser, system: Any) -> None:
    alice, _ = await two_in_a_chat(chromium, system.url)
    async with alice.page.expect_popup() as opening:
        await alice.page.evaluate("window.open(location.href)")  # copies sessionStorage, as to duplicate the tab does
    copy = await opening.value
    await expect(copy.locator("#my-name")).to_have_text(await alice.page.locator("#my-name").inner_text())
    token = await stored(copy, RENEWAL)
    for _ in range(2):  # after two renewals, the first token would end the session
        await spoil_token(alice.page)
        token = await renewed(alice.page, copy, before=token)
    await spoil_token(copy)
    assert await renewed(alice.page, copy, before=token) != "None"
    await expect(copy.locator("#my-name")).to_have_text(alice.login)


async def test_late_renewal_brings_no_login_back(chromium: Browser, system: Any) -> None:
    alice, bob = await two_in_a_chat(chromium, system.url)
    page, has_come, may_arrive = alice.page, asyncio.Event(), asyncio.Event()

    async def delay(route: Route) -> None:
        response = await route.fetch()
        has_come.set()
        await may_arrive.wait()
        await route.fulfill(response=response)

    await page.route("**/api/v1/login/refresh", delay)
    await spoil_token(page)
    await has_come.wait()
    await page.get_by_role("button", name="Switch user").click()
    await log_in(page, bob.login)
    async with page.expect_response("**/api/v1/login/refresh"):
        may_arrive.set()
    await page.evaluate("new Promise((resolve) => setTimeout(resolve, 200))")  # else a late token would come too late
    await page.reload()
    await expect(page.locator("#my-name")).to_have_text(bob.login)


async def test_call_of_one_login_is_not_repeated_in_the_next(chromium: Browser, system: Any) -> None:
    alice, bob = await two_in_a_chat(chromium, system.url)
    page, has_come, may_end = alice.page, asyncio.Event(), asyncio.Event()

    async def refuse(route: Route) -> None:
        if route.request.method != "POST" or has_come.is_set():
            await route.continue_()
            return
        has_come.set()
        await may_end.wait()
        await route.fulfill(status=401, json={"code": "unauthorized"})

    await page.route("**/api/v1/chats", refuse)
    await page.get_by_role("button", name="New chat").first.click()
    await page.get_by_label("With whom?").fill(bob.login)
    await page.get_by_role("button", name="Start").click()
    await has_come.wait()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Switch user").click()
    await log_in(page, bob.login)
    await expect(page.locator(".chat-row")).to_have_count(1)
    alice.requested.clear()
    may_end.set()
    await page.evaluate("new Promise((resolve) => setTimeout(resolve, 200))")  # else a repetition would come too late
    assert not [url for url in alice.requested if url.endswith(("/login/refresh", "/api/v1/chats"))]
    await expect(page.locator("#my-name")).to_have_text(bob.login)


async def test_next_user_sees_nothing_of_the_dialogs(chromium: Browser, system: Any) -> None:
    alice, bob = await two_in_a_chat(chromium, system.url)
    page = alice.page
    await page.locator("#talk-info").click()
    await expect(page.locator("#info-members li")).to_have_count(2)
    await page.locator("#info-close").click()
    await page.get_by_role("button", name="New chat").first.click()
    await page.get_by_label("With whom?").fill("a-secret-friend")
    await page.locator("#new-cancel").click()
    await page.get_by_role("button", name="Switch user").click()
    assert await page.locator("#info-dialog").evaluate("({ textContent }) => textContent.includes('alice')") is False
    await expect(page.locator("#info-members li")).to_have_count(0)
    await log_in(page, bob.login)
    await page.get_by_role("button", name="New chat").first.click()
    await expect(page.get_by_label("With whom?")).to_have_value("")
