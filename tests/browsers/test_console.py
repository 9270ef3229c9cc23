"""The operator's page in every browser of Debian, on a phone, by touch."""

import httpx

from tests.browsers.browser import Browser
from tests.browsers.phone import register
from tests.support.servers import NginxServer


async def test_operator_looks_around_on_a_phone(browser: Browser, site: NginxServer, key: str) -> None:
    async def shows(css: str, text: str) -> None:
        await browser.until("document.querySelector(arguments[0])?.textContent.includes(arguments[1])", css, text)
        assert await browser.run("return document.scrollingElement.scrollWidth <= innerWidth")

    async with httpx.AsyncClient(base_url=site.url) as http:
        ann = await register(http, "ann")
        chat = (await http.post("/api/v1/chats", json={"kind": "group", "title": "Order 7"})).raise_for_status().json()
        await http.post(f"/api/v1/chats/{chat['id']}/messages", json={"text": "It was paid."})
    await browser.goto(f"{site.url}/console")
    await browser.type("#key", key)
    await browser.tap("#login-form button")
    await shows("#replicas-sum", "2 replicas · ")
    await browser.until("document.querySelectorAll('.plot-line[points]').length === 12")
    await browser.tap(".tabs a[href='#users']")
    await browser.type("#user-form input", ann.login)
    await browser.tap("#user-form button")
    await shows("#user h3", ann.login)
    await browser.tap("#user td button")
    await shows("#chat h3", "Order 7")
    await shows("#tail p", "It was paid.")
    await browser.tap(".tabs a[href='#webhooks']")
    await shows("#webhooks", "No webhooks are set up.")
    await browser.tap(".tabs a[href='#settings']")
    await browser.type("#settings-filter", "service_keys")
    await shows("#settings td:nth-child(2)", "operator (all scopes)")
    await browser.tap("#log-out")
    await browser.until("performance.getEntriesByType('navigation')[0].type === 'reload'")
    await browser.until("document.querySelector('#key')?.checkVisibility()")
    assert key not in await browser.run("return document.documentElement.outerHTML + Object.values(sessionStorage)")
