"""The JavaScript client as the gateway serves it, in a small application, in every browser."""

import pytest

from tests.browsers.browser import Browser
from tests.browsers.phone import in_the_application
from tests.faults.links import Link
from tests.support.servers import NginxServer

pytestmark = pytest.mark.full


async def test_client_sends_and_catches_up_over_a_cut_link(browser: Browser, link: Link, site: NginxServer) -> None:
    async with in_the_application(browser, link, site.url) as (phone, other):
        await phone.say("Hello, Bob")
        await phone.shows(["Hello, Bob"])
        link.reset()
        link.stall()
        await phone.say("sent without a network")
        await other.say("meanwhile")
        link.heal()
        texts = ["Hello, Bob", "meanwhile", "sent without a network"]
        await phone.shows(texts)
        await other.hears(texts)
