"""The JavaScript client in a browser: tabs, reloads, and pages that the browser puts aside."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, Page, Route

from tests.support.cluster import User, run_cluster
from tests.support.servers import NginxServer

CLIENT = Path(__file__).parents[3] / "clients/js"
START = """async ([url, token, chatId]) => {
  const { Client } = await import(`${url}/static/client/current/index.js`);
  window.client = new Client(url, { token });
  window.chat = client.chat(chatId);
  chat.open();
}"""
SHOWN = "chat.messages.map(({ text, status }) => `${text}: ${status}`).join()"
KEPT = """() => new Promise((resolve) => {
  indexedDB.open("chat-gateway").onsuccess = ({ target: { result: database } }) => {
    database.transaction("unsent").objectStore("unsent").getAll().onsuccess = ({ target }) => {
      database.close();
      resolve(target.result.map(({ frame }) => frame.text));
    };
  };
})"""


async def pages_without_server(context: BrowserContext) -> None:
    """A page, and the client, which load while no node runs."""

    async def client(route: Route) -> None:
        await route.fulfill(path=CLIENT / route.request.url.partition("/current/")[2])

    await context.route("**/page", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    await context.route("**/static/client/current/**", client)


async def test_tabs_and_reloads_send_each_message_once(
    tmp_path: Path,
    redis_url: str,
    postgres_url: str,
    nginx: Callable[[Sequence[int]], NginxServer],
    chromium: Browser,
) -> None:
    async with run_cluster(tmp_path, redis_url, postgres_url, MESSAGES_PER_MINUTE=0) as cluster:
        url = f"http://127.0.0.1:{nginx([node.port for node in cluster.nodes]).port}"
        ann = await cluster.user("ann")
        chat = await cluster.chat(ann)
        context = await chromium.new_context()
        context.set_default_timeout(120_000)  # ends a hang
        await pages_without_server(context)
        first, second = [await opened(context, url, ann, chat) for _ in range(2)]
        for page in (first, second):
            await page.wait_for_function("client.me?.username && chat.state === 'live' && navigator.locks")
        for node in cluster.nodes:
            await asyncio.to_thread(node.kill)
        await first.evaluate("void chat.send('one')")
        await second.evaluate("void chat.send('two')")
        await second.reload()
        await second.evaluate(START, [url, ann.token, chat])
        await second.evaluate("void chat.send('three')")
        assert sorted(await first.evaluate(KEPT)) == ["one", "two"]  # the user of the reloaded page is not known yet
        await first.close()
        for node in cluster.nodes:
            await asyncio.to_thread(node.start)
        await second.wait_for_function(f"{SHOWN}.split(',').toSorted() == 'one: stored,three: stored,two: stored'")
        await second.wait_for_function("!chat.hasUnsent")
        assert await second.evaluate(KEPT) == []

        third = await opened(context, url, ann, chat)
        await third.wait_for_function("chat.messages.length === 3 && chat.state === 'live'")
        await third.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
        assert await third.evaluate("[client.state, chat.state].join()") == "waiting,waiting"
        await second.evaluate("chat.send('four')")
        await third.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
        await third.wait_for_function("chat.messages.at(-1).text === 'four' && chat.messages.length === 4")


async def opened(context: BrowserContext, url: str, user: User, chat: int) -> Page:
    page = await context.new_page()
    await page.goto(f"{url}/page")
    await page.evaluate(START, [url, user.token, chat])
    return page
