"""System messages on the page."""

from pathlib import Path
from urllib.parse import urlsplit

import httpx
from playwright.async_api import Browser, expect

from tests.e2e.system import run_system
from tests.e2e.windows import two_in_a_chat

KEY = {"X-Service-Key": "key-of-shop"}


async def test_system_message_is_a_centred_notice(chromium: Browser, tmp_path: Path) -> None:
    with run_system(tmp_path, {"SERVICE_KEYS": "shop:key-of-shop"}) as system:
        alice, bob = await two_in_a_chat(chromium, system.url)
        await alice.say("rude")
        row = bob.page.locator(".message")
        await expect(row).to_have_count(1)
        async with httpx.AsyncClient(base_url=system.url, headers=KEY) as http:
            messages = f"/api/v1/chats/{urlsplit(alice.page.url).fragment}/messages"
            sent = await http.post(messages, json={"text": "Order 7 was paid."})
            assert sent.status_code == 201, sent.text
            rude, _ = (await http.get(messages)).json()["messages"]
            for window in (alice, bob):
                notice = window.page.locator(".message.system")
                await expect(notice.locator(".text")).to_have_text("Order 7 was paid.")
                for part in (".author", ".avatar", ".actions"):
                    await expect(notice.locator(part)).to_be_hidden()
                log = await window.page.locator("#messages").bounding_box()
                bubble = await notice.locator(".bubble").bounding_box()
                assert log is not None
                assert bubble is not None
                assert abs(log["x"] + log["width"] / 2 - bubble["x"] - bubble["width"] / 2) < 2
            await http.delete(f"{messages}/{rude['id']}")
        await expect(alice.page.locator(".message.mine.deleted")).to_have_count(1)
        assert alice.faults == bob.faults == []
