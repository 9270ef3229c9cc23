"""Images that messages link to: shown from the origins that the operator allows, and from no other."""

import re
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, expect

from tests.e2e.system import run_system
from tests.e2e.windows import two_in_a_chat
from tests.support.image_server import image_server


async def test_images_of_allowed_origins_are_shown_without_a_referrer(chromium: Browser, tmp_path: Path) -> None:
    async with image_server(tmp_path) as images, image_server(tmp_path) as others:
        with run_system(tmp_path, {"PAGE_IMAGE_SOURCES": images.origin}) as system:
            alice, bob = await two_in_a_chat(chromium, system.url, ignore_https_errors=True)
            shown, missing, other = (
                f"{images.origin}/a%20b.png",
                f"{images.origin}/missing.jpg",
                f"{others.origin}/c.png",
            )
            await alice.say(f"see {shown} {missing} {other} {images.origin}/no-image")
            image = bob.messages.get_by_role("img", name="Image a b.png")
            await expect(image).to_be_visible()
            await expect(bob.messages.locator(".image")).to_have_text(["", "The image missing.jpg cannot be shown"])
            await expect(bob.messages.locator(".text a")).to_have_count(4)
            assert await image.evaluate("(image) => image.decode().then(() => image.naturalHeight)") == 900
            link = bob.messages.locator(".image").first
            assert (await link.get_attribute("rel") or "").split() == ["noopener", "noreferrer", "nofollow"]
            sizes = [await box.bounding_box() for box in await bob.messages.locator(".image").all()]
            assert [(size["width"], size["height"]) for size in sizes if size] == [(256, 192)] * 2
            assert await bob.page.evaluate("log.scrollHeight - log.scrollTop - log.clientHeight") < 1
            assert [head for head in images.heads if re.search("^(Referer|Cookie):", head, re.MULTILINE)] == []
            async with bob.page.expect_popup() as opening:
                await link.click()
            assert await (await opening.value).evaluate("opener") is None
            assert (await opening.value).url == shown
            assert others.heads == []

            policy = (await _get(system.url)).headers["content-security-policy"]
            assert f"img-src 'self' {images.origin}" in policy
            assert "img-src" not in (await _get(f"{system.url}/console")).headers["content-security-policy"]

            await alice.page.emulate_media(reduced_motion="reduce")
            await alice.say(f"{images.origin}/moves.gif")
            await expect(bob.messages.last.locator("img")).to_have_count(1)
            await expect(alice.messages).to_have_count(2)
            await expect(alice.messages.last.locator(".images")).to_be_hidden()


async def test_images_stay_links_unless_allowed(chromium: Browser, system: Any, tmp_path: Path) -> None:
    async with image_server(tmp_path) as images:
        alice, bob = await two_in_a_chat(chromium, system.url, ignore_https_errors=True)
        await alice.say(f"{images.origin}/a.png")
        await expect(bob.messages.locator(".text a")).to_have_count(1)
        await expect(bob.messages.locator("img")).to_have_count(0)
        assert images.heads == []
        assert bob.faults == []
        assert "img-src" not in (await _get(system.url)).headers["content-security-policy"]


async def _get(url: str) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return (await http.get(url)).raise_for_status()
