"""A real browser for tests: the Chromium of the system, headless, and seed 004's client class in it.

The headless shell is the same engine without the windows of a desktop, which cost more CPU time than the pages of the
tests. The tests in tests/browsers run the complete Chromium.

The page's Content-Security-Policy forbids `eval`, so `page.wait_for_function` cannot work there: wait with
`expect(locator)`.
"""

import shutil
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.seeds.chat_websocket import ChatWebSocket
from tests.seeds.extract import chat_websocket_class

CHROMIUM_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")

expect.set_options(timeout=60_000)  # ends a hang, and asserts no speed; left to itself, it gives up after five seconds


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The session's Chromium. Its objects belong to the session's event loop, and so do the tests with `chromium`."""
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    assert path is not None, "no Chromium on PATH: install the package `chromium`"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def chromium(browser: Browser) -> AsyncIterator[Browser]:
    """A headless Chromium without pages; each `new_context()` is a separate browser profile with its own cookies."""
    yield browser
    for context in browser.contexts:
        await context.close()


class BrowserChatWebSocket(ChatWebSocket):
    """The class in a page."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page

    async def call(self, method: str, *arguments: object) -> None:
        """Call a method of the class."""
        await self._page.evaluate("([method, values]) => chat[method](...values)", [method, list(arguments)])


async def browser_chat_websocket(context: BrowserContext, url: str, chat_id: int) -> BrowserChatWebSocket:
    """The seed's class, extracted now, in a new page of `context` at `url` (like `http://127.0.0.1:8000`).

    A browser's WebSocket can send no Authorization header: log in with `context.request` first, for the cookie.
    """
    page = await context.new_page()
    client = BrowserChatWebSocket(page)
    await page.expose_function("tell", client.hear)
    await page.goto(f"{url}/livez")  # any document of this origin, so that the cookie is sent
    await page.evaluate(_START % chat_websocket_class(url.replace("http", "ws", 1)), chat_id)
    return client


_START = """(chatId) => {
    %s
    const plain = (value) => value instanceof Event ? value.type : value;
    for (const level of ["log", "error"]) console[level] = (...values) => tell(level, values.map(plain));
    globalThis.chat = new ChatWebSocket(chatId, "");
    for (const method of ["displayMessage", "showTypingIndicator", "showReadIndicator"]) {
        chat[method] = (value) => tell(method, value);
    }
}"""
