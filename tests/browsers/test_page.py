"""The page in every browser of Debian, on a phone: by touch, and over a link that fails."""

import re
from pathlib import Path

from tests.browsers.browser import Browser
from tests.browsers.phone import on_the_page
from tests.faults.links import Link
from tests.support.image_server import image_server
from tests.support.servers import NginxServer

MISSING = "The image missing.jpg cannot be shown"


async def test_phone_chats_by_touch_and_over_a_cut_link(
    browser: Browser, link: Link, site: NginxServer, image_port: int, tmp_path: Path
) -> None:
    async with on_the_page(browser, link, site.url) as (phone, other):
        await phone.say("Hello, Bob")
        await phone.shows(["Hello, Bob"])
        await other.say("Hello, Ann")
        await phone.shows(["Hello, Bob", "Hello, Ann"])
        link.reset()
        link.stall()
        await phone.say("sent without a network")
        await other.say("meanwhile")
        assert await browser.texts(".pending .text") == ["sent without a network"]
        link.heal()
        texts = ["Hello, Bob", "Hello, Ann", "meanwhile", "sent without a network"]
        await phone.shows(texts)
        await other.hears(texts)
        assert await phone.fits()
        await browser.screenshot(tmp_path / "chat.png")
        await browser.reload()
        await phone.shows(texts)
        async with image_server(tmp_path, image_port) as images:
            await other.say(f"see {images.origin}/a.png {images.origin}/missing.jpg")
            await browser.until("document.querySelector('.image img')?.naturalHeight > 0")
            await browser.until("document.querySelectorAll('.image')[1]?.textContent === arguments[0]", MISSING)
            assert await browser.run("return document.querySelector('.image').offsetHeight") == 192  # of a high image
            assert [head for head in images.heads if re.search("^(Referer|Cookie):", head, re.MULTILINE)] == []
        assert await phone.fits()
        await browser.tap(".back")
        await browser.until("document.querySelector('.chat-row')?.checkVisibility()")
        assert await phone.fits()
