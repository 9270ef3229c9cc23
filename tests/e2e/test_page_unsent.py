"""Unsent messages on the page: after an ended session, another user, a reload, a removal."""

import re
from typing import Any

import orjson
import pytest
from playwright.async_api import Browser, Dialog, WebSocketRoute, expect

from tests.e2e.windows import enter, log_in, two_in_a_chat

UNAUTHORIZED = {
    "status": 401,
    "content_type": "application/problem+json",
    "body": '{"status":401,"code":"unauthorized","title":"Unauthorized","detail":"This token has expired."}',
}


async def test_unsent_messages_are_sent_after_next_login_of_their_user(chromium: Browser, system: Any) -> None:
    is_offline = is_expired = False

    async def pass_on(link: WebSocketRoute) -> None:
        if is_expired:
            await link.close(code=4401, reason="This token has expired.")
            return
        server = link.connect_to_server()  # by the test's own network, which the browser's `offline` does not cut
        link.on_message(lambda frame: None if is_offline else server.send(frame))
        server.on_message(lambda frame: None if is_offline else link.send(frame))

    alice, bob = await two_in_a_chat(chromium, system.url)
    carol = await enter(await chromium.new_context(), system.url, "carol")
    page = alice.page
    await page.route_web_socket(re.compile("/ws/"), pass_on)
    await page.reload()
    await expect(page.locator("#node")).to_have_attribute("data-state", "live")
    await alice.say("before")
    await expect(bob.messages).to_have_count(1)
    is_offline = True
    await page.context.set_offline(True)
    await expect(page.locator("#banner")).to_contain_text("You are offline.")
    await alice.say("first, offline")
    await alice.say("second, offline")
    await page.fill("#text", "a draft")
    is_expired = True  # meanwhile
    for path in (
        "chats?*",
        "login/refresh",
        "events?*",
        "commands",
    ):  # the last two are what it uses without WebSockets
        await page.route(f"**/api/v1/{path}", lambda route: route.fulfill(**UNAUTHORIZED))
    await page.context.set_offline(False)
    await expect(page.locator("#login-error")).to_contain_text("Your session has ended.")
    is_offline = is_expired = False
    await page.unroute_all()

    await log_in(page, carol.login)
    await page.get_by_role("button", name="New chat").first.click()
    await page.get_by_label("With whom?").fill(bob.login)
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator("#node")).to_have_attribute("data-state", "live")
    await expect(page.locator("#text")).to_have_value("")
    await expect(page.locator(".message")).to_have_count(0)
    await page.get_by_role("button", name="Switch user").click()
    await expect(bob.messages).to_have_count(1)

    await log_in(page, alice.login)  # the list is open, not the chat
    expected = ["before", "first, offline", "second, offline"]
    await expect(bob.messages.locator(".text")).to_have_text(expected)
    await page.locator(".chat-row", has_text=bob.login).click()
    await expect(page.locator("#text")).to_have_value("a draft")
    await expect(page.locator(".message:not(.pending) .text")).to_have_text(expected)
    await page.reload()
    await expect(page.locator(".message:not(.pending) .text")).to_have_text(expected)
    await expect(page.locator(".pending")).to_have_count(0)


@pytest.mark.parametrize("is_stored", [False, True], ids=["lost", "unanswered"])
async def test_reload_warns_and_keeps_unsent_messages(chromium: Browser, system: Any, is_stored: bool) -> None:
    is_cut = True

    def pass_on(link: WebSocketRoute) -> None:
        server = link.connect_to_server()

        def is_of_message(text: str | bytes) -> bool:
            frame = orjson.loads(text)
            return is_cut and (frame["type"] == "message" or "message_id" in frame)

        link.on_message(lambda frame: None if is_of_message(frame) and not is_stored else server.send(frame))
        server.on_message(lambda frame: None if is_of_message(frame) and is_stored else link.send(frame))

    alice, bob = await two_in_a_chat(chromium, system.url)
    dialogs: list[str] = []

    async def accept(dialog: Dialog) -> None:
        dialogs.append(dialog.type)
        await dialog.accept()

    alice.page.on("dialog", accept)
    await alice.page.route_web_socket(re.compile("/ws/"), pass_on)
    await alice.page.reload()
    await expect(alice.page.locator("#node")).to_have_attribute("data-state", "live")
    await alice.say("one")
    await alice.say("two")
    await expect(alice.page.locator(".pending")).to_have_count(2)
    if is_stored:
        await expect(bob.messages).to_have_count(1)
    is_cut = False
    await alice.page.reload()
    assert dialogs == ["beforeunload"]
    for window in (alice, bob):
        await expect(window.page.locator(".message:not(.pending) .text")).to_have_text(["one", "two"])
    await expect(alice.page.locator(".pending")).to_have_count(0)


async def test_removed_member_can_still_edit_unsent_text(chromium: Browser, system: Any) -> None:
    alice = await enter(await chromium.new_context(), system.url, "alice")
    bob = await enter(await chromium.new_context(), system.url, "bob")
    carol = await enter(await chromium.new_context(), system.url, "carol")
    await alice.page.get_by_role("button", name="New chat").first.click()
    await alice.page.get_by_label("With whom?").fill(f"{bob.login} {carol.login}")
    async with alice.page.expect_response("**/api/v1/chats") as response:
        await alice.page.get_by_role("button", name="Start").click()
    chat = await (await response.value).json()
    (bob_id,) = [member["user_id"] for member in chat["members"] if member["username"] == bob.login]
    await bob.page.reload()
    await bob.open_chat_with(alice.login)
    await bob.page.context.set_offline(True)
    await expect(bob.page.locator("#banner")).to_contain_text("You are offline.")
    await bob.say("my last words")
    answer = await alice.page.context.request.delete(
        f"{system.url}/api/v1/chats/{chat['id']}/members/{bob_id}", headers={"Origin": system.url}
    )
    assert answer.status == 204
    await bob.page.context.set_offline(False)
    await expect(bob.page.locator(".failure")).to_contain_text("Not sent. You are not a member")
    await expect(bob.page.locator(".chat-row")).to_have_count(0)
    await bob.page.get_by_role("button", name="Edit").click()
    await expect(bob.page.locator("#text")).to_have_value("my last words")
    await expect(bob.messages).to_have_count(0)
    await bob.say("my last words")
    await bob.page.get_by_role("button", name="Discard").click()
    await expect(bob.page.locator("#talk")).to_be_hidden()


async def test_switching_user_with_unsent_messages_asks_first(chromium: Browser, system: Any) -> None:
    alice, bob = await two_in_a_chat(chromium, system.url)
    await alice.page.context.set_offline(True)
    await expect(alice.page.locator("#banner")).to_contain_text("You are offline.")
    await alice.say("unsent")
    await alice.page.get_by_role("button", name="Switch user").click()
    await alice.page.get_by_role("button", name="Stay").click()
    await expect(alice.messages).to_have_count(1)
    await alice.page.get_by_role("button", name="Switch user").click()
    await alice.page.get_by_role("button", name="Switch user").last.click()
    await expect(alice.page.locator("#login")).to_be_visible()
    await alice.page.context.set_offline(False)
    await log_in(alice.page, alice.login)
    await expect(bob.messages.locator(".text")).to_have_text(["unsent"])
