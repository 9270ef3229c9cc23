"""The page at `/` in a real browser on a running system: two users in two windows."""

import re
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest_asyncio
from playwright.async_api import Browser, Route, WebSocketRoute, expect

from tests.e2e.windows import PASSWORD, Window, enter, log_in, two_in_a_chat


@pytest_asyncio.fixture(loop_scope="session")
async def windows(chromium: Browser, system: Any) -> AsyncIterator[tuple[Window, Window]]:
    """Alice's and Bob's windows; afterwards neither may have met an error or asked anybody else for anything."""
    alice, bob = await two_in_a_chat(chromium, system.url)
    yield alice, bob
    for window in (alice, bob):
        assert window.faults == []
        assert all(url.startswith(system.url) for url in window.requested)


async def test_two_windows_show_messages_typing_and_read_receipts(windows: tuple[Window, Window]) -> None:
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


async def test_keyboard_edits_and_deletes_own_message(windows: tuple[Window, Window]) -> None:
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


async def test_markup_in_message_is_shown_as_text(windows: tuple[Window, Window]) -> None:
    alice, bob = windows
    text = "<img src=x onerror=alert(1)> <b>bold</b> & 'quotes'"
    await alice.say(text)
    await expect(bob.messages.locator(".text")).to_have_text([text])
    await expect(bob.messages.locator(".text *")).to_have_count(0)


async def test_lost_connection_reconnects_and_misses_nothing(chromium: Browser, system: Any) -> None:
    links: list[WebSocketRoute] = []
    sent: list[dict[str, Any]] = []

    def pass_on(link: WebSocketRoute) -> None:
        server = link.connect_to_server()
        links.append(link)

        def note(frame: str | bytes) -> None:
            sent.append(orjson.loads(frame))
            server.send(frame)

        link.on_message(note)

    alice, bob = await two_in_a_chat(chromium, system.url)
    await alice.page.route_web_socket(re.compile("/ws/"), pass_on)
    await alice.page.reload()
    await expect(alice.page.locator("#node")).to_have_attribute("data-state", "live")
    await alice.say("before")
    await expect(alice.messages.locator(".ticks")).to_have_attribute("aria-label", f"Read by {bob.login}")
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
    first, second = [frame for frame in sent if frame["type"] == "subscribe"]
    assert "since" not in first
    assert re.fullmatch(r".+:1", second["since"])


async def test_two_windows_of_one_user_show_the_same_chat(chromium: Browser, system: Any) -> None:
    alice, bob = await two_in_a_chat(chromium, system.url)
    second = Window(await alice.page.context.new_page(), alice.login)
    await second.page.goto(system.url)
    await log_in(second.page, alice.login)
    await second.open_chat_with(bob.login)
    texts = ["from the first", "from the second", "to both"]
    for number, window in enumerate((alice, second, bob)):
        await window.say(texts[number])
        await expect(bob.messages.locator(".text")).to_have_text(texts[: number + 1])
    for window in (alice, second, bob):
        await expect(window.messages.locator(".text")).to_have_text(texts)
    await expect(second.page.locator(".mine")).to_have_count(2)


async def test_wrong_password_shows_a_sentence(chromium: Browser, system: Any) -> None:
    page = await (await chromium.new_context()).new_page()
    await page.goto(system.url)
    await page.get_by_label("Login").fill("nobody")
    await page.get_by_label("Password").fill("not the password")
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("alert").first).to_have_text(re.compile(r"^[A-Z].*\.$"))


async def test_short_interruption_is_not_shown(chromium: Browser, system: Any) -> None:
    links: list[WebSocketRoute] = []

    def pass_on(link: WebSocketRoute) -> None:
        link.connect_to_server()
        links.append(link)

    alice, _ = await two_in_a_chat(chromium, system.url)
    await alice.page.route_web_socket(re.compile("/ws/"), pass_on)
    await alice.page.reload()
    await expect(alice.page.locator("#node")).to_have_attribute("data-state", "live")
    await alice.page.evaluate(
        """() => {
            globalThis.seen = [];
            const at = (id) => document.getElementById(id);
            const note = () => seen.push(at("banner").hidden, at("node").dataset.state);
            new MutationObserver(note).observe(at("talk"), {subtree: true, attributes: true});
        }"""
    )
    await links[-1].close(code=4000, reason='{"retry_after_ms":0}')
    await alice.say("after the interruption")
    await expect(alice.page.locator(".message:not(.pending)")).to_have_count(1)
    assert len(links) == 2
    assert set(await alice.page.evaluate("seen")) <= {True, "live", "connecting"}


async def test_double_enter_creates_one_chat_and_one_account(chromium: Browser, system: Any) -> None:
    async def slow(route: Route) -> None:
        posted.extend([route.request.url] * (route.request.method == "POST"))
        await alice.page.wait_for_timeout(300)
        await route.continue_()

    posted: list[str] = []
    others = [(await enter(await chromium.new_context(), system.url, name)).login for name in ("bob", "carol")]
    alice = Window(await (await chromium.new_context()).new_page(), "alice-twice")
    await alice.page.route(re.compile("/register|/login|/api/v1/chats$"), slow)
    await alice.page.goto(system.url)
    await alice.page.get_by_role("button", name="Create an account").click()
    await alice.page.get_by_label("Login").fill(alice.login)
    await alice.page.get_by_label("Password").fill(PASSWORD)
    await alice.page.evaluate(_SUBMIT_TWICE, "login-form")
    await expect(alice.page.locator("#my-name")).to_have_text(alice.login)
    await alice.page.get_by_role("button", name="New chat").first.click()
    await alice.page.get_by_label("With whom?").fill(" ".join(others))
    await alice.page.evaluate(_SUBMIT_TWICE, "new-form")
    await expect(alice.page.locator("#node")).to_have_attribute("data-state", "live")
    await expect(alice.page.locator(".chat-row")).to_have_count(1)
    assert posted == [f"{system.url}{path}" for path in ("/register", "/login", "/api/v1/chats")]


_SUBMIT_TWICE = "(id) => { for (let n = 0; n < 2; n += 1) document.getElementById(id).requestSubmit(); }"


async def test_error_disappears_when_input_changes(chromium: Browser, system: Any) -> None:
    alice, bob = await two_in_a_chat(chromium, system.url)
    await alice.say("x" * 1001)
    await expect(alice.page.locator("#problem")).to_contain_text("at most 1000 characters")
    await alice.page.press("#text", "Backspace")
    await expect(alice.page.locator("#problem")).to_have_text("")
    await alice.page.get_by_role("button", name="New chat").first.click()
    await alice.page.get_by_label("With whom?").fill("nobody-of-this-name")
    await alice.page.get_by_role("button", name="Start").click()
    await expect(alice.page.locator("#new-error")).not_to_have_text("")
    await alice.page.get_by_label("With whom?").fill(bob.login)
    await expect(alice.page.locator("#new-error")).to_have_text("")


async def test_switching_user_clears_the_cookie(chromium: Browser, system: Any) -> None:
    alice = await enter(await chromium.new_context(), system.url, "alice")
    cookies = alice.page.context.cookies
    names = {"access_token", "chat_gateway_device"}
    assert {cookie["name"] for cookie in await cookies()} == names
    await alice.page.get_by_role("button", name="Switch user").click()
    async with alice.page.expect_response(re.compile("/login$")):  # it waits until the logout is through
        await log_in(alice.page, alice.login)
    assert {cookie["name"] for cookie in await cookies()} == names
    async with alice.page.expect_response(re.compile("/api/v1/logout$")) as response:
        await alice.page.get_by_role("button", name="Switch user").click()
    assert (await response.value).status == 204
    assert [cookie["name"] for cookie in await cookies()] == ["chat_gateway_device"]
