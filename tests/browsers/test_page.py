"""The page in every browser of Debian, on a phone: by touch, and over a link that fails."""

from pathlib import Path

from tests.browsers.browser import Browser
from tests.browsers.phone import on_the_page
from tests.faults.links import Link
from tests.support.servers import NginxServer


async def test_phone_chats_by_touch_and_over_a_cut_link(
    browser: Browser, link: Link, site: NginxServer, tmp_path: Path
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
        await browser.tap(".back")
        await browser.until("document.querySelector('.chat-row')?.checkVisibility()")
        assert await phone.fits()
