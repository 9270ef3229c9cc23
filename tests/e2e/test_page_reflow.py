"""The pages at 200 % and 400 % zoom (WCAG 2.2, 1.4.4 and 1.4.10): nothing is cut, and everything can be reached."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.system import run_system
from tests.e2e.windows import two_in_a_chat

KEY = "key-of-the-operator-u9Yq2mTz7cKp"
ZOOMS = {"200 % of 1280×720": (640, 360, 2), "400 % of 1280×1024": (320, 256, 4)}
OUT_OF_REACH = """() => {
    const within = document.querySelector("dialog:modal") ?? document.body;
    const controls = [...within.querySelectorAll("a[href], button, input, select, textarea, [role=application]")];
    const found = controls.filter((one) => one.checkVisibility({ checkVisibilityCSS: true })).filter((one) => {
        one.scrollIntoView({ block: "nearest" });
        const { left, right, top, bottom } = one.getBoundingClientRect();
        const at = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
        const isWhole = left > -1 && right < innerWidth + 1 && top > -1 && Math.min(bottom, top + 24) < innerHeight + 1;
        return !isWhole || !(one.contains(at) || at?.contains(one));
    });
    const isWide = document.scrollingElement.scrollWidth > innerWidth;
    return [...found.map((one) => one.outerHTML.slice(0, 80)), ...(isWide ? ["the page"] : [])];
}"""


async def out_of_reach(page: Page) -> list[str]:
    """The controls that cannot be scrolled into the window whole, or that something covers."""
    return [str(one) for one in await page.evaluate(OUT_OF_REACH)]


@pytest.mark.parametrize("zoom", ZOOMS)
async def test_page_is_used_at_a_zoom(chromium: Browser, tmp_path: Path, zoom: str) -> None:
    width, height, scale = ZOOMS[zoom]
    options: Any = {"viewport": {"width": width, "height": height}, "device_scale_factor": scale}
    with run_system(tmp_path, {"SERVICE_KEYS": f"operator:{KEY}"}) as system:
        alice, bob = await two_in_a_chat(chromium, system.url, **options)
        page = alice.page
        for n in range(8):
            await alice.say(f"{n} https://example.org/{'a' * 70} {'b' * 100}")
        await expect(bob.messages).to_have_count(8)
        assert await out_of_reach(page) == []  # the chat
        log = await page.locator("#log").bounding_box()
        assert log is not None
        assert log["height"] >= 64  # two lines can be read
        await page.fill("#text", "line\n" * 30)
        assert await out_of_reach(page) == []
        await page.locator(".message").last.focus()
        await page.keyboard.press("r")
        await expect(page.locator("#picker")).to_be_visible()
        assert await out_of_reach(page) == []
        await page.keyboard.press("Escape")
        await page.keyboard.press("Delete")
        assert await out_of_reach(page) == []
        await page.keyboard.press("Escape")
        await page.locator("#talk-info").click()
        assert await out_of_reach(page) == []
        await page.keyboard.press("Escape")
        await page.get_by_label("Back to my chats").click()
        assert await out_of_reach(page) == []  # the list
        await page.locator("#new-chat").click()
        assert await out_of_reach(page) == []
        await page.keyboard.press("Escape")
        await page.locator("#switch-user").click()
        assert await out_of_reach(page) == []
        await page.locator("#login-switch").click()
        assert await out_of_reach(page) == []

        await page.goto(f"{system.url}/console")
        await page.get_by_label("Service key").fill(KEY)
        assert await out_of_reach(page) == []
        await page.get_by_role("button", name="Open").click()
        await expect(page.locator(".replica[data-state=ready]")).to_have_count(2)
        for tab in ("replicas", "users", "chats", "webhooks", "settings"):
            await page.locator(f".tabs a[href='#{tab}']").click()
            await expect(page.locator(f"section[data-tab={tab}]")).to_be_visible()
            assert await out_of_reach(page) == []


async def test_nothing_moves_for_who_wants_no_motion(chromium: Browser, system: Any) -> None:
    alice, bob = await two_in_a_chat(chromium, system.url, reduced_motion="reduce")
    await bob.page.locator("#text").press_sequentially("Hel")
    await expect(alice.page.locator("#typing")).to_have_text(f"{bob.login} is typing")
    await bob.say("Hello")
    await expect(alice.messages).to_have_count(1)
    moving = "document.getAnimations().length + [...document.querySelectorAll('*')].filter((one) => {"
    moving += "const { transitionDuration, scrollBehavior } = getComputedStyle(one);"
    moving += "return transitionDuration !== '0s' || scrollBehavior === 'smooth'; }).length"
    assert await alice.page.evaluate(moving) == 0
