"""The page registers with the invitation of its URL."""

from pathlib import Path

import httpx
from playwright.async_api import Browser, expect

from tests.e2e.system import run_system

KEY = "a service key of this test"


async def test_form_uses_the_invitation_of_its_url(chromium: Browser, tmp_path: Path) -> None:
    with run_system(tmp_path, {"REGISTRATION": "invite", "SERVICE_KEYS": KEY}) as system:
        answer = httpx.post(f"{system.url}/api/v1/invitations", json={"login": "ann"}, headers={"X-Service-Key": KEY})
        page = await chromium.new_page()
        for url, sentence in ((f"{system.url}/", "needs an invitation"), (answer.json()["url"], "")):
            await page.goto(url)
            if sentence:
                await page.click("#login-switch")
            await expect(page.locator("#login-title")).to_have_text("Create an account")
            await page.fill("[name=login]", "ann")
            await page.fill("[name=password]", "correct horse")
            await page.click("#login-submit")
            if sentence:
                await expect(page.locator("#login-error")).to_contain_text(sentence)
        await expect(page.locator("#my-name")).to_have_text("ann")
        assert "invitation" not in page.url
