"""The look of the page in a real browser: phones, right-to-left scripts, links and contrast."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.system import run_system
from tests.e2e.windows import enter, two_in_a_chat

PHONES = [(320, 568), (360, 640), (390, 844)]
MIN_CONTRAST = 4.5  # WCAG 2.2, 1.4.3 (AA), for text of any size
CONTRASTS = (Path(__file__).parent / "contrasts.js").read_text()


@pytest.mark.parametrize(("width", "height"), PHONES)
async def test_composer_is_fully_visible_on_a_phone(chromium: Browser, system: Any, width: int, height: int) -> None:
    async def is_whole() -> None:
        box = await alice.page.locator("#text").bounding_box()
        assert box is not None
        assert box["height"] >= 36
        assert box["y"] + box["height"] <= height
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await alice.page.evaluate(overflow) == 0

    alice, bob = await two_in_a_chat(chromium, system.url, viewport={"width": width, "height": height})
    await is_whole()
    await alice.page.reload()
    await expect(alice.page.locator("#node")).to_have_attribute("data-state", "live")
    await is_whole()
    await alice.page.get_by_label("Back to my chats").click()
    await alice.open_chat_with(bob.login)
    await is_whole()
    await alice.page.fill("#text", "line\n" * 3)
    await alice.page.get_by_label("Back to my chats").click()
    await alice.open_chat_with(bob.login)
    box = await alice.page.locator("#text").bounding_box()
    assert box is not None
    assert box["height"] >= 4 * 20  # the draft's lines


async def test_right_to_left_text_is_laid_out_right_to_left(chromium: Browser, system: Any) -> None:
    alice, bob = await two_in_a_chat(chromium, system.url)
    directions = {"Hello": "ltr", "שלום עולם": "rtl", "مرحبا https://example.com": "rtl", "123": "ltr"}
    for text in directions:
        await alice.page.fill("#text", text)
        direction = await alice.page.locator("#text").evaluate("(box) => getComputedStyle(box).direction")
        assert direction == directions[text]
        await alice.page.press("#text", "Enter")
    await expect(bob.messages.locator(".text")).to_have_text(list(directions))
    laid_out = "(texts) => texts.map((text) => getComputedStyle(text).direction)"
    assert await bob.messages.locator(".text").evaluate_all(laid_out) == list(directions.values())


async def test_urls_become_links_without_referrer_or_opener(chromium: Browser, system: Any) -> None:
    alice, bob = await two_in_a_chat(chromium, system.url)
    await alice.say('see https://example.com/<b>?q="x" (http://a.example/b), not javascript:alert(1)')
    links = bob.messages.locator(".text a")
    await expect(links).to_have_text(["https://example.com/", "http://a.example/b"])
    for link in await links.all():
        assert (await link.get_attribute("rel") or "").split() == ["noopener", "noreferrer", "nofollow"]
        assert await link.get_attribute("target") == "_blank"
    await expect(bob.messages.locator(".text b")).to_have_count(0)


async def test_text_limit_counts_code_points(chromium: Browser, tmp_path: Path) -> None:
    with run_system(tmp_path, {"MAX_TEXT_LENGTH": "20"}) as system:
        alice, bob = await two_in_a_chat(chromium, system.url)
        await alice.page.fill("#text", "😀" * 18)
        await expect(alice.page.locator("#count")).to_have_text("2")
        await alice.say("😀" * 21)
        await expect(alice.page.locator("#problem")).to_contain_text("at most 20 characters; this one has 21")
        await alice.say("😀" * 20)
        await expect(bob.messages.locator(".text")).to_have_text(["😀" * 20])


async def low_contrasts(page: Page) -> list[str]:
    """Every visible text of the page whose contrast with what is behind it is too low."""
    return [str(found) for found in await page.evaluate(CONTRASTS, MIN_CONTRAST)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_has_sufficient_contrast(chromium: Browser, system: Any, scheme: Any) -> None:
    login_page = await chromium.new_page(color_scheme=scheme)
    await login_page.goto(system.url)
    await login_page.get_by_label("Login").fill("nobody")
    await login_page.get_by_label("Password").fill("not the password")
    await login_page.get_by_role("button", name="Log in").click()
    await expect(login_page.locator("#login-error")).not_to_have_text("")
    assert await low_contrasts(login_page) == []
    await login_page.get_by_role("button", name="Create an account").click()
    assert await low_contrasts(login_page) == []

    alice, bob = await two_in_a_chat(chromium, system.url, color_scheme=scheme)
    page = alice.page
    assert await low_contrasts(page) == []  # an empty chat, and the placeholder of its composer
    await page.evaluate(_SHOW_EVERY_AVATAR)
    assert await low_contrasts(page) == []
    await bob.say("with a https://link.example")
    await alice.say("an answer")
    await alice.say("to be deleted")
    await expect(alice.page.locator(".message:not(.pending)")).to_have_count(3)
    await page.press("#text", "ArrowUp")
    await expect(page.locator("#editing")).to_be_visible()
    await page.press("#text", "Escape")
    await page.locator(".message.mine").last.hover()
    await page.get_by_role("button", name="Delete").last.click()
    assert await low_contrasts(page) == []  # the dialog
    await page.locator("#delete-dialog [value=delete]").click()
    await expect(page.locator(".deleted")).to_have_count(1)
    await page.locator(".message.mine").first.hover()
    await bob.page.fill("#text", "typing")
    await bob.page.press("#text", "x")
    await page.get_by_role("button", name="New chat").first.click()
    await page.get_by_label("With whom?").fill("nobody-of-this-name")
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator("#new-error")).not_to_have_text("")
    assert await low_contrasts(page) == []
    await page.get_by_role("button", name="Cancel").click()
    await page.context.set_offline(True)
    await expect(page.locator("#banner")).to_be_visible()
    await alice.say("waiting for the network")
    await alice.say("x" * 1001)
    assert await low_contrasts(page) == []  # pending, the banner, a problem, an exceeded count
    for row in await page.locator(".message.mine").all():
        await row.evaluate(_SHOW_AS_FAILED)
    assert await low_contrasts(page) == []

    carol = await enter(await chromium.new_context(color_scheme=scheme), system.url, "carol")
    assert await low_contrasts(carol.page) == []  # no chats, none open


_SHOW_EVERY_AVATAR = """() => {
    const avatar = document.getElementById("my-avatar");
    for (let hue = 0; hue < 8; hue += 1) {
        const copy = avatar.cloneNode(true);
        copy.dataset.hue = hue;
        avatar.after(copy);
    }
}"""
_SHOW_AS_FAILED = """(row) => {
    row.classList.add("failed");
    row.querySelector(".failure").textContent = "Not sent.";
    row.querySelector(".actions").hidden = false;
}"""
