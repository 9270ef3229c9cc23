"""The site that `scripts/site` builds, opened from its files in Chromium."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

ROOT = Path(__file__).parents[2]
(OPTIONS,) = re.findall(r"sphinx-build (.+?) \"\$@\"", (ROOT / "scripts/site").read_text(encoding="utf-8"))


def build(sources: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sphinx", *OPTIONS.split(), ".", str(site)]
    return subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    result = build(ROOT, folder)
    assert (result.returncode, result.stderr) == (0, "")
    return folder


async def search(page: Page, words: str) -> None:
    """Type the words into the search of the side bar."""
    await page.locator(".sidebar-search").fill(words)
    await page.locator(".sidebar-search").press("Enter")


async def test_reader_without_network_finds_pages_by_search(chromium: Browser, site: Path) -> None:
    context = await chromium.new_context(offline=True)
    page = await context.new_page()
    requested: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("console", lambda message: faults.extend([message.text] * (message.type == "error")))
    page.on("pageerror", lambda error: faults.append(str(error)))
    await page.goto((site / "index.html").as_uri())
    await expect(page.locator("h1").first).to_contain_text("Documentation")
    for words, found in (
        ("slow consumer", "native.html"),
        ("rate_limited", "limits.html"),
        ("учебник", "ru/tutorial.html"),
        ("DRAIN_DELAY_S", "deploy.html"),
    ):
        await search(page, words)
        await expect(page.locator(f'.search a[href*="{found}"]').first).to_be_visible()
    await page.locator('.search a[href*="deploy.html"]').first.click()
    await expect(page.locator("h1")).to_contain_text("Deploying it")
    await page.locator("article a[href*=k8s]").click()
    await expect(page.locator("h1")).to_contain_text("Manifests")
    assert [url for url in requested if not url.startswith(("file:", "data:"))] == []
    assert faults == []


def test_broken_link_or_anchor_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("docs/conf.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "docs/README.md").write_text("# Documentation\n[a](nowhere) [b](#elsewhere)\n", encoding="utf-8")
    result = build(tmp_path, tmp_path / "site")
    assert result.returncode != 0
    assert {"nowhere", "elsewhere"} <= set(re.findall(r"'#?([\w.]+)'", result.stderr)), result.stderr
