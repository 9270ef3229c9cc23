"""`/docs/ws` in a real browser: the readable AsyncAPI document, served from this host only."""

from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.docs_pages import watched_page
from tests.support.cluster import run_cluster
from tests.support.documented import DOCUMENT

_BRIGHTNESS = """() => {
  const { color, backgroundColor } = getComputedStyle(document.body);
  return [color, backgroundColor].map((each) => Number(each.match(/[0-9]+/)[0]));
}"""


async def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    width: int = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_page_shows_every_channel_message_and_close_code(
    chromium: Browser, tmp_path: Path, redis_url: str, sqlite_url: str, scheme: str
) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1) as cluster:
        url = cluster.nodes[0].url
        answer = httpx.get(f"{url}/docs/ws")
        assert "<script" not in answer.text
        assert " style=" not in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'self';")
        page, foreign, faults = await watched_page(chromium, url, color_scheme=scheme)
        await page.goto(f"{url}/docs/ws")
        shown: Counter[str] = Counter()
        for operation in DOCUMENT["operations"].values():
            shown[operation["channel"]["$ref"].rpartition("/")[2]] += len(operation["messages"])
        for name, channel in DOCUMENT["channels"].items():
            section = page.locator("section", has=page.locator(f"#{name}"))
            await expect(section.locator(".address")).to_have_text(channel["address"])
            await expect(section.locator("article")).to_have_count(shown[name])
            for close in channel["x-close-codes"]:
                await expect(section.get_by_role("cell", name=str(close["code"]), exact=True)).to_have_count(1)
        targets = await page.locator('a[href^="#"]').evaluate_all("all => all.map((each) => each.hash.slice(1))")
        ids = await page.locator("[id]").evaluate_all("all => all.map((each) => each.id)")
        assert set(targets) <= set(ids)
        assert len(ids) == len(set(ids))
        text, background = await page.evaluate(_BRIGHTNESS)
        assert (text < background) is (scheme == "light")
        assert await overflow(page) == 0
        await page.set_viewport_size({"width": 320, "height": 640})
        assert await overflow(page) == 0
        assert (foreign, faults) == ([], [])


async def test_page_is_linked_from_the_http_docs_and_back(
    chromium: Browser, tmp_path: Path, redis_url: str, sqlite_url: str
) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1) as cluster:
        url = cluster.nodes[0].url
        page, foreign, faults = await watched_page(chromium, url)
        await page.goto(f"{url}/docs")
        link = page.get_by_role("link", name="/docs/ws")
        assert urlsplit(str(await link.evaluate("(each) => each.href"))).path == "/docs/ws"
        await page.goto(f"{url}/docs/ws")
        await page.get_by_role("link", name="HTTP API").click()
        await expect(page.locator(".opblock").first).to_be_visible()
        assert (foreign, faults) == ([], [])
