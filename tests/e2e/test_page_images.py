"""Images that messages link to: shown from the origins that the operator allows, and from no other."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, expect

from tests.e2e.system import run_system
from tests.e2e.windows import two_in_a_chat
from tests.support.certificates import Authority

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="900"><rect width="9" height="9"/></svg>'
"""A picture is what its server calls it, whatever its name ends with."""


class Images:
    """Answers `…/missing…` with 404 and every other request with an image; `heads` has what was requested."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.port = 0

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.port}"  # 127.0.0.1 has the page, and cookies know no ports

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:  # a connection that the browser opened in advance
            writer.close()
            return
        self.heads.append(head)
        is_missing = "/missing" in head.partition("\r\n")[0]
        status, body = ("404 Not Found", b"") if is_missing else ("200 OK", SVG)
        lengths = f"Content-Length: {len(body)}\r\nConnection: close"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Type: image/svg+xml\r\n{lengths}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def image_server(folder: Path) -> AsyncIterator[Images]:
    """A server with a certificate that nobody trusts."""
    pair = Authority(folder, "authority").issue("server", "DNS:localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    images = Images()
    async with await asyncio.start_server(images.serve, "127.0.0.1", ssl=context) as server:
        images.port = server.sockets[0].getsockname()[1]
        yield images


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
