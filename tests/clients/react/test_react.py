"""The React hooks in a browser, with a node."""

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, expect

from storage.records import ChatKind, NewMember
from tests.node.tools import MODULES, run
from tests.support.cluster import run_cluster

ROOT = Path(__file__).parents[3]
APP = Path(__file__).parent / "app.tsx"
PACKAGES = {
    f"@chat-gateway/{name}": ROOT / "clients" / folder for name, folder in (("client", "js"), ("react", "react"))
}


async def test_types_of_hooks_fit_the_application(tmp_path: Path) -> None:
    paths = {name: [str(folder / "index.d.ts")] for name, folder in PACKAGES.items()}
    paths["*"] = [f"{MODULES}/@types/*", f"{MODULES}/*"]
    options = {"strict": True, "noEmit": True, "module": "esnext", "moduleResolution": "bundler", "target": "es2024"}
    config = {"compilerOptions": {**options, "jsx": "react-jsx", "types": [], "paths": paths}, "files": [str(APP)]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(config))
    await run("tsc", "--project", tmp_path / "tsconfig.json")


async def test_hooks_show_chats_live(
    tmp_path: Path, redis_url: str, postgres_url: str, chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_PATH", str(MODULES))
    aliases = [f"--alias:{name}={folder / 'index.js'}" for name, folder in PACKAGES.items()]
    bundle = tmp_path / "app.js"
    await run("esbuild", APP, "--bundle", "--format=esm", "--jsx=automatic", *aliases, f"--outfile={bundle}")
    async with run_cluster(tmp_path / "nodes", redis_url, postgres_url, nodes=1, MESSAGES_PER_MINUTE=0) as cluster:
        url = cluster.nodes[0].url
        ann = await cluster.user("ann")
        chat = await cluster.chat(ann)
        await cluster.chats.create_chat(None, ChatKind.GROUP, "", [NewMember(user_id=ann.id)], key="order-7")
        page = await chromium.new_page()
        html = '<!doctype html><body></body><script type="module" src="/app.js"></script>'
        await page.route("**/app", lambda route: route.fulfill(body=html, content_type="text/html"))
        await page.route("**/app.js", lambda route: route.fulfill(path=bundle))
        await page.goto(f"{url}/app#{quote(json.dumps([url, ann.token, [chat]]))}")

        section = page.locator("section").first
        await expect(page.locator("main")).to_have_attribute("data-state", "live")
        await expect(page.locator("main")).to_have_attribute("data-me", str(ann.id))
        await expect(page.locator("main")).to_have_attribute("data-chats", re.compile(rf"\b{chat}\b"))
        await expect(section).to_have_attribute("data-state", "live")
        await expect(section).to_have_attribute("data-present", "1")
        for number in range(3):
            await page.get_by_role("button").first.click()
            await expect(section.locator("li.stored")).to_have_text([f"Hello {count}" for count in range(number + 1)])
        await page.evaluate("counted.rows = 0")
        await page.evaluate(f"client.chat({chat}).send('last')")
        await expect(section.locator("li.stored")).to_have_count(4)
        # Only the new row, sent and stored, which StrictMode draws twice.
        assert await page.evaluate("counted.rows") <= 8

        await page.evaluate("show(['order-7', 'no-such'])")
        await expect(page.locator("section").last).to_have_attribute("data-error", "not_found")
        await expect(page.locator("section").first).to_have_attribute("data-state", "live")
        await page.get_by_role("button").first.click()
        await expect(page.locator("section").first.locator("li.stored")).to_have_text(["Hello 0"])
        assert await page.evaluate(f"client.chat({chat}).state") == "idle"
