"""Reactions on the page, in a real browser: by mouse, by keyboard, live in both windows, and after a reload."""

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.windows import two_in_a_chat


async def test_reaction_is_added_and_removed_by_mouse(chromium: Browser, system: Any) -> None:
    alice, bob = await two_in_a_chat(chromium, system.url)
    await alice.say("Lunch?")
    await bob.messages.first.hover()
    await bob.page.get_by_role("button", name="React").click()
    await bob.page.get_by_role("button", name="Thumbs up").click()
    for window in (alice, bob):
        await expect(window.page.locator(".reaction")).to_have_text("👍 1")
    await expect(bob.page.locator(".picker")).to_be_hidden()
    await expect(bob.page.locator(".reaction")).to_have_attribute("aria-pressed", "true")
    await expect(alice.page.locator(".reaction")).to_have_attribute("aria-pressed", "false")
    await alice.page.locator(".reaction").click()
    await expect(bob.page.locator(".reaction")).to_have_text("👍 2")
    await bob.page.locator(".reaction").click()
    await expect(alice.page.locator(".reaction")).to_have_text("👍 1")
    await alice.page.reload()
    await expect(alice.page.locator(".reaction")).to_have_attribute("aria-pressed", "true")
    await alice.page.locator(".reaction").click()
    for window in (alice, bob):
        await expect(window.page.locator(".reaction")).to_have_count(0)
        assert window.faults == []


REACT = """async (keys) => {
  const url = `/api/v1/chats/${location.hash.slice(1)}/messages`;
  const headers = { Authorization: `Bearer ${sessionStorage.getItem("chat-token")}` };
  const { messages } = await (await fetch(url, { headers })).json();
  const urlOf = (key) => `${url}/${messages[0].id}/reactions/${encodeURIComponent(key)}`;
  return Promise.all(keys.map(async (key) => (await fetch(urlOf(key), { method: "PUT", headers })).ok));
}"""


async def test_any_key_of_a_reaction_is_shown_as_it_is(chromium: Browser, system: Any) -> None:
    alice, bob = await two_in_a_chat(chromium, system.url)
    await alice.say("Lunch?")
    await expect(bob.messages).to_have_count(1)
    await expect(alice.page.locator(".pending")).to_have_count(0)
    keys = ["constructor", "__proto__", "toString", "<b>{count}</b>"]  # names that every object of JavaScript has
    assert await bob.page.evaluate(REACT, keys) == [True] * len(keys)
    await expect(alice.page.locator(".reaction")).to_have_count(len(keys))
    shown = await alice.page.locator(".reaction").evaluate_all(
        "(all) => all.map((one) => [one.textContent, one.ariaLabel])"
    )
    assert sorted(shown) == sorted([f"{key} 1", f"{key}, 1"] for key in keys)
    await bob.say("Yes")
    await expect(alice.messages).to_have_count(2)
    assert alice.faults == bob.faults == []


async def test_reaction_is_added_by_keyboard(chromium: Browser, system: Any) -> None:
    alice, bob = await two_in_a_chat(chromium, system.url)
    await alice.say("Lunch?")
    await expect(bob.messages).to_have_count(1)
    await bob.page.locator("#log").focus()
    for key in ("ArrowUp", "r", "ArrowRight", "Enter"):
        await bob.page.keyboard.press(key)
    await expect(alice.page.locator(".reaction")).to_have_text("❤️ 1")
    await expect(bob.messages.first).to_be_focused()
    for key in ("r", "Escape"):
        await bob.page.keyboard.press(key)
    await expect(bob.page.locator(".picker")).to_be_hidden()
    await expect(bob.messages.first).to_be_focused()
    for _ in ("React", "Reply", "👍"):
        await bob.page.keyboard.press("Tab")
    await expect(bob.page.locator(".reaction")).to_be_focused()
    await bob.page.keyboard.press("Enter")
    await expect(alice.page.locator(".reaction")).to_have_count(0)


async def test_deletion_removes_reactions_from_the_page(chromium: Browser, system: Any) -> None:
    alice, bob = await two_in_a_chat(chromium, system.url)
    await alice.say("Lunch?")
    await expect(bob.messages).to_have_count(1)
    await expect(alice.page.locator(".pending")).to_have_count(0)
    await alice.page.locator("#log").focus()
    for key in ("ArrowUp", "r", "Enter"):
        await alice.page.keyboard.press(key)
    await expect(bob.page.locator(".reaction")).to_have_count(1)
    await alice.page.keyboard.press("Delete")
    await alice.page.get_by_role("button", name="Delete").last.click()
    await expect(bob.messages.locator(".text")).to_have_text(["This message was deleted."])
    await expect(bob.page.locator(".reaction")).to_have_count(0)
    await expect(bob.page.get_by_role("button", name="React")).to_have_count(0)


@pytest.mark.parametrize("width", [320, 960])
async def test_reactions_do_not_widen_the_page(chromium: Browser, system: Any, width: int) -> None:
    alice, bob = await two_in_a_chat(chromium, system.url, viewport={"width": width, "height": 568})
    await alice.say("Lunch?")
    await bob.messages.first.click()
    for name in ("Thumbs up", "Heart", "Laughing", "Party", "Surprised"):
        await bob.page.get_by_role("button", name="React").click()
        await bob.page.get_by_role("button", name=name, exact=True).click()
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    for window in (alice, bob):
        await expect(window.page.locator(".reaction")).to_have_count(5)
        assert await window.page.evaluate(overflow) == 0
