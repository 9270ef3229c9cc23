"""Browser windows of users who registered on the page, for the tests of the page."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, expect

PASSWORD = "a long enough passphrase"
_numbers = count(1)
_UNANSWERED = """if (Notification.permission === "denied") {
    Object.defineProperty(Notification, "permission", { value: "default", configurable: true });
}"""
"""A headless Chromium denies notifications, where others ask first: the page has a button for that."""


@dataclass
class Window:
    """One user's window; `faults` is everything that a developer would see in red."""

    page: Page
    login: str
    faults: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    @property
    def messages(self) -> Any:
        """The rows of the open chat."""
        return self.page.locator(".message")

    async def say(self, text: str) -> None:
        """Type a message and send it with Enter."""
        await self.page.fill("#text", text)
        await self.page.press("#text", "Enter")

    async def open_chat_with(self, login: str) -> None:
        """Open the listed chat with that user."""
        row = self.page.locator(".chat-row", has_text=login)
        await row.click()
        await expect(row).to_have_attribute("aria-current", "page")  # until then the state is that of the chat before
        await expect(self.page.locator("#node")).to_have_attribute("data-state", "live")


async def log_in(page: Page, login: str) -> None:
    """Log an existing user in on the page."""
    await page.get_by_label("Login").fill(login)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.locator("#my-name")).to_have_text(login)


async def enter(context: BrowserContext, url: str, name: str) -> Window:
    """A window in which a new user has registered on the page."""
    await context.add_init_script(_UNANSWERED)
    window = Window(await context.new_page(), f"{name}{next(_numbers)}")
    page = window.page
    page.on("console", lambda message: window.faults.extend([message.text] * (message.type == "error")))
    page.on("pageerror", lambda error: window.faults.append(str(error)))
    page.on("request", lambda request: window.requested.append(request.url))
    await page.goto(url)
    await page.get_by_role("button", name="Create an account").click()
    await page.get_by_label("Login").fill(window.login)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await expect(page.locator("#my-name")).to_have_text(window.login)
    return window


async def two_in_a_chat(chromium: Browser, url: str, **context: Any) -> tuple[Window, Window]:
    """Two users in two browser profiles, each with their common chat open; `context` is Playwright's, for both."""
    alice = await enter(await chromium.new_context(**context), url, "alice")
    bob = await enter(await chromium.new_context(**context), url, "bob")
    await alice.page.get_by_role("button", name="New chat").first.click()
    await alice.page.get_by_label("With whom?").fill(bob.login)
    await alice.page.get_by_role("button", name="Start").click()
    await expect(alice.page.locator("#node")).to_have_attribute("data-state", "live")
    await bob.page.reload()  # rather than wait until the list is fetched again
    await bob.open_chat_with(alice.login)
    return alice, bob
