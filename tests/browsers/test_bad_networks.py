"""The page and an application on bad networks and after the device slept: every message once, in order."""

import asyncio

import pytest

from tests.browsers.browser import Browser
from tests.browsers.phone import Conversation, Other, Phone, on_the_page
from tests.faults.links import Link
from tests.support.servers import NginxServer

pytestmark = pytest.mark.full
MESSAGES = 20
SLOW_BYTES_PER_S = 30_000
DELAY_S = 0.2


async def _talk(phone: Phone, other: Other) -> None:
    """Both send messages."""
    for number in range(MESSAGES):
        await phone.say(f"Ann {number}")
        await other.say(f"Bob {number}")


async def _agree(phone: Phone, other: Other) -> None:
    """Both have all messages once, each sender's in order, and in one order for both."""
    await phone.browser.until(f"document.querySelectorAll('.message:not(.pending)').length === {2 * MESSAGES}")
    texts = await phone.browser.texts(".message .text")
    for name in ("Ann", "Bob"):
        assert [text for text in texts if text.startswith(name)] == [f"{name} {n}" for n in range(MESSAGES)]
    await phone.shows(texts)
    await other.hears(texts)


async def test_slow_network_loads_the_page_and_loses_nothing(browser: Browser, link: Link, site: NginxServer) -> None:
    link.delay(DELAY_S)
    link.throttle(SLOW_BYTES_PER_S)
    async with on_the_page(browser, link, site.url) as (phone, other):
        await _talk(phone, other)
        await _agree(phone, other)


async def test_lost_connections_lose_no_message(conversation: Conversation, link: Link) -> None:
    async with conversation as (phone, other):

        async def disturb() -> None:
            for every in range(100):
                await asyncio.sleep(0.3 + every % 5 / 5)
                link.reset()

        disturbing = asyncio.create_task(disturb())
        try:
            await _talk(phone, other)
        finally:
            disturbing.cancel()
        await _agree(phone, other)


async def test_device_that_slept_catches_up(conversation: Conversation, browser: Browser) -> None:
    async with conversation as (phone, other):
        await phone.say("good night")
        await phone.shows(["good night"])
        browser.sleep()
        try:
            await other.sees_her_leave()
            await other.say("are you asleep?")
            await other.say("good morning")
        finally:
            browser.wake()
        texts = ["good night", "are you asleep?", "good morning"]
        await phone.shows(texts)
        await phone.say("good morning")
        await phone.shows([*texts, "good morning"])
        await other.hears([*texts, "good morning"])
