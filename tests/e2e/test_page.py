"""The page at `/`, in a real browser, on a running system: two people, two windows."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, WebSocketRoute, expect

PASSWORD = "a long enough passphrase"
_numbers = count(1)


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
        await self.page.locator(".chat-row", has_text=login).click()
        await expect(self.page.locator("#node")).to_have_attribute("data-state", "live")


async def enter(context: BrowserContext, url: str, name: str) -> Window:
    """A window in which a new user has registered on the page."""
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


async def two_in_a_chat(chromium: Browser, url: str) -> tuple[Window, Window]:
    """Two users in two browser profiles, each with their common chat open."""
    alice = await enter(await chromium.new_context(), url, "alice")
    bob = await enter(await chromium.new_context(), url, "bob")
    await alice.page.get_by_role("button", name="New chat").first.click()
    await alice.page.get_by_label("With whom?").fill(bob.login)
    await alice.page.get_by_role("button", name="Start").click()
    await expect(alice.page.locator("#node")).to_have_attribute("data-state", "live")
    await bob.page.reload()  # rather than wait until the list is fetched again
    await bob.open_chat_with(alice.login)
    return alice, bob


@pytest.fixture
async def windows(chromium: Browser, system: Any) -> AsyncIterator[tuple[Window, Window]]:
    """Alice's and Bob's windows; afterwards neither may have met an error or asked anybody else for anything."""
    alice, bob = await two_in_a_chat(chromium, system.url)
    yield alice, bob
    for window in (alice, bob):
        assert window.faults == []
        assert all(url.startswith(system.url) for url in window.requested)


async def test_two_windows_talk_and_see_each_other_typing_and_reading(windows: tuple[Window, Window]) -> None:
    alice, bob = windows
    await expect(alice.page.locator("#talk-presence")).to_have_text(f"{bob.login} is here")
    await bob.page.locator("#text").press_sequentially("Hel")
    await expect(alice.page.locator("#typing")).to_have_text(f"{bob.login} is typing")
    await bob.say("Hello, Alice")
    await expect(alice.messages.locator(".text")).to_have_text(["Hello, Alice"])
    await expect(alice.page.locator("#typing")).to_have_text("")
    await expect(bob.messages.locator(".ticks")).to_have_attribute("aria-label", f"Read by {alice.login}")
    await alice.say("Hello, Bob")
    for window in windows:
        await expect(window.messages.locator(".text")).to_have_text(["Hello, Alice", "Hello, Bob"])
        await expect(window.page.locator("#node-name")).to_have_text(re.compile(r".+"))


async def test_an_own_message_can_be_edited_and_deleted_with_the_keyboard(windows: tuple[Window, Window]) -> None:
    alice, bob = windows
    await alice.say("Helo")
    await expect(bob.messages.locator(".text")).to_have_text(["Helo"])
    await alice.page.press("#text", "ArrowUp")
    await expect(alice.page.locator("#editing")).to_be_visible()
    await alice.say("Hello")
    await expect(bob.messages.locator(".text")).to_have_text(["Hello"])
    await expect(bob.messages.locator(".edited")).to_be_visible()
    await alice.page.locator("#log").focus()
    await alice.page.keyboard.press("ArrowUp")
    await alice.page.keyboard.press("Delete")
    await alice.page.get_by_role("button", name="Delete").last.click()
    await expect(bob.messages.locator(".text")).to_have_text(["This message was deleted."])


async def test_markup_in_a_message_is_shown_as_text(windows: tuple[Window, Window]) -> None:
    alice, bob = windows
    text = "<img src=x onerror=alert(1)> <b>bold</b> & 'quotes'"
    await alice.say(text)
    await expect(bob.messages.locator(".text")).to_have_text([text])
    await expect(bob.messages.locator(".text *")).to_have_count(0)


async def test_a_lost_connection_comes_back_and_misses_nothing(chromium: Browser, system: Any) -> None:
    links: list[WebSocketRoute] = []

    def pass_on(link: WebSocketRoute) -> None:
        link.connect_to_server()
        links.append(link)

    alice, bob = await two_in_a_chat(chromium, system.url)
    await alice.page.route_web_socket(re.compile("/ws/"), pass_on)
    await alice.page.reload()
    await expect(alice.page.locator("#node")).to_have_attribute("data-state", "live")
    await alice.say("before")
    await expect(bob.messages).to_have_count(1)
    await links[-1].close(code=4000, reason='{"retry_after_ms":1500}')
    await expect(alice.page.locator("#banner")).to_contain_text("This replica is restarting.")
    await bob.say("meanwhile")
    await alice.say("from the outbox")
    expected = ["before", "meanwhile", "from the outbox"]
    for window in (alice, bob):
        await expect(window.messages.locator(".text")).to_have_text(expected)
    await expect(alice.page.locator("#banner")).to_be_hidden()
    await expect(alice.page.locator(".pending")).to_have_count(0)
    assert len(links) == 2
    assert "since=" in links[1].url


async def test_the_same_chat_in_a_second_window_pauses_the_first_until_it_is_asked_back(
    chromium: Browser, system: Any
) -> None:
    alice, _ = await two_in_a_chat(chromium, system.url)
    second = await alice.page.context.new_page()
    await second.goto(system.url)
    await second.get_by_label("Login").fill(alice.login)
    await second.get_by_label("Password").fill(PASSWORD)
    await second.get_by_role("button", name="Log in").click()
    await second.locator(".chat-row").click()
    await expect(second.locator("#node")).to_have_attribute("data-state", "live")
    await expect(alice.page.locator("#banner")).to_contain_text("You opened this chat somewhere else")
    await alice.page.get_by_role("button", name="Use it here").click()
    await expect(alice.page.locator("#node")).to_have_attribute("data-state", "live")
    await expect(second.locator("#banner")).to_be_visible()


async def test_a_wrong_password_is_answered_with_a_sentence(chromium: Browser, system: Any) -> None:
    page = await (await chromium.new_context()).new_page()
    await page.goto(system.url)
    await page.get_by_label("Login").fill("nobody")
    await page.get_by_label("Password").fill("not the password")
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("alert").first).to_have_text(re.compile(r"^[A-Z].*\.$"))
