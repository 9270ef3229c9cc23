"""Groups, replies, unread marks and the other language on the page; every view passes axe's rules."""

from typing import Any

from playwright.async_api import Browser, expect

from tests.e2e.axe import violations
from tests.e2e.windows import Window, enter


async def test_group_with_replies_roles_and_two_languages(chromium: Browser, system: Any) -> None:
    login_page = await (await chromium.new_context()).new_page()
    await login_page.goto(system.url)
    assert await violations(login_page) == []
    alice = await enter(await chromium.new_context(), system.url, "alice")
    bob = await enter(await chromium.new_context(viewport={"width": 390, "height": 844}), system.url, "bob")
    boris = await _russian(chromium, system.url)
    assert await violations(alice.page) == []
    await alice.page.get_by_role("button", name="New chat").first.click()
    await alice.page.get_by_label("With whom?").fill(f"{bob.login} {boris.login}")
    await alice.page.get_by_role("button", name="Start").click()
    await expect(alice.page.locator("#node")).to_have_attribute("data-state", "live")
    await _talk(alice, bob, boris)
    await _arrange(alice, bob, boris)


async def _russian(chromium: Browser, url: str) -> Window:
    """A new user in a Russian browser."""
    window = Window(await (await chromium.new_context(locale="ru-RU", color_scheme="dark")).new_page(), "boris")
    await window.page.goto(url)
    await expect(window.page.locator("html")).to_have_attribute("lang", "ru")
    await window.page.get_by_role("button", name="Создать учётную запись").click()
    await window.page.get_by_label("Логин").fill(window.login)
    await window.page.get_by_label("Пароль").fill("a long enough passphrase")
    await window.page.get_by_role("button", name="Создать").first.click()
    await expect(window.page.locator("#my-name")).to_have_text(window.login)
    return window


async def _talk(alice: Window, bob: Window, boris: Window) -> None:
    await alice.say("Where do we meet?")
    await alice.say("And when?")
    row = boris.page.locator(".chat-row")
    await expect(row).to_contain_text(f"{alice.login}: And when?")
    await expect(row.locator(".unread")).to_have_attribute("aria-label", "2 непрочитанных")
    await row.click()
    await expect(boris.page.locator(".first-unread .text")).to_have_text("Where do we meet?")
    await expect(boris.page.locator(".first-unread .unread-line")).to_have_text("Новые сообщения")
    await expect(row.locator(".unread")).to_have_text("")
    first = boris.messages.first
    await first.hover()
    await first.get_by_role("button", name="Ответить").click()
    await expect(boris.page.locator("#reply-text")).to_have_text("Where do we meet?")
    await boris.say("At the station")
    await expect(boris.page.locator("#replying")).to_be_hidden()
    await bob.page.locator(".chat-row").click()
    quote = bob.messages.last.locator(".quote")
    await expect(quote).to_have_text(f"{alice.login} Where do we meet?")
    await quote.click()
    await expect(bob.messages.first).to_be_focused()
    await _mention(alice, bob, boris)
    for window in (alice, bob, boris):
        assert await violations(window.page) == []


async def _mention(alice: Window, bob: Window, boris: Window) -> None:
    """Alice mentions Boris, whom the list completes; he looks elsewhere, and his browser notifies him."""
    await boris.page.evaluate(_LOOK_AWAY)
    await alice.page.locator("#text").press_sequentially("Hi @bo")
    options = alice.page.locator("#mention-list li")
    await expect(options).to_have_count(2)
    await alice.page.locator("#text").press_sequentially("r")
    await expect(options).to_have_text([boris.login])
    assert await violations(alice.page) == []
    await alice.page.press("#text", "Enter")
    await expect(alice.page.locator("#text")).to_have_value(f"Hi @{boris.login} ")
    await alice.page.press("#text", "Enter")
    text = f"Hi @{boris.login}"
    await expect(boris.page.locator(".message.mentions .text")).to_have_text([text])
    await expect(bob.messages.last.locator(".text")).to_have_text(text)
    await expect(bob.page.locator(".message.mentions")).to_have_count(0)
    await expect(boris.page.locator("#notified")).to_have_text(f"{alice.login}: {text}")


_LOOK_AWAY = """() => {
    Object.defineProperty(document, "hidden", { get: () => true });
    const shown = Object.assign(document.createElement("p"), { id: "notified" });
    globalThis.Notification = class {
        static permission = "granted";
        constructor(_, { body }) { shown.textContent = body; }
    };
    document.querySelector("main").append(shown);
}"""
"""Headless browsers show no notifications, and all their pages are seen."""


_HIDDEN_WIDTH = "(element) => element.scrollWidth - element.clientWidth"


async def _arrange(alice: Window, bob: Window, boris: Window) -> None:
    dialog = alice.page.locator("#info-dialog")
    await alice.page.get_by_role("button", name="About this chat").click()
    await expect(dialog.locator(".member")).to_have_count(3)
    for width in (320, 1280):
        await alice.page.set_viewport_size({"width": width, "height": 800})
        assert await dialog.locator("#info-members").evaluate(_HIDDEN_WIDTH) == 0
    for window in (alice, boris):
        assert await window.page.locator("#my-name").evaluate(_HIDDEN_WIDTH) == 0
    assert await violations(alice.page) == []
    await dialog.get_by_label("Title").fill("Summer trip")
    await dialog.get_by_role("button", name="Save").click()
    for window in (alice, bob, boris):
        await expect(window.page.locator("#talk-title")).to_have_text("Summer trip")
    await dialog.get_by_label(f"Role of {bob.login}").select_option("moderator")
    await dialog.get_by_role("button", name=f"Remove {boris.login}").click()
    await expect(dialog.locator(".member")).to_have_count(2)
    await expect(boris.page.locator("#talk")).to_be_hidden()
    await dialog.get_by_label("Add a member").fill("nobody-of-this-name")
    await dialog.get_by_role("button", name="Add").click()
    await expect(dialog.get_by_role("alert")).not_to_have_text("")
    await dialog.get_by_label("Mute").check()
    await dialog.get_by_role("button", name="Close").click()
    await bob.page.get_by_role("button", name="About this chat").click()
    await expect(bob.page.locator(".member", has_text=bob.login).locator(".member-role")).to_have_text("Moderator")
    await bob.page.get_by_role("button", name="Leave").click()
    await expect(bob.page.locator("#talk")).to_be_hidden()
    await expect(bob.page.locator(".chat-row")).to_have_count(0)
    await alice.page.get_by_label("Search my chats").fill("SUMMER")
    await expect(alice.page.locator(".chat-row")).to_have_count(1)
    await alice.page.get_by_label("Search my chats").fill("winter")
    await expect(alice.page.locator("#no-match")).to_be_visible()
