"""The example shop, as `examples/shop/run` starts it, in three browser windows."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from gateway.up.ports import free_port
from tests.support.servers import answers, wait_until

RUN = Path(__file__).parents[2] / "examples/shop/run"
GET = b"GET /jwks.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[str]:
    """The URL of a shop with a gateway of its own."""
    port = free_port()
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environ |= {
        "PYTHON": sys.executable,
        "SHOP_PORT": str(port),
        "APP_PORT": str(free_port()),
        "DATA_DIR": str(tmp_path),
    }
    log = tmp_path / "run.log"
    with log.open("wb") as output:
        process = subprocess.Popen([RUN], env=environ, stdout=output, stderr=output, start_new_session=True)
    try:
        wait_until(lambda: "is up" in log.read_text() or process.poll() is not None, "the gateway is up")
        wait_until(lambda: answers(port, GET, b"HTTP/1.1 200") or process.poll() is not None, "the shop is up")
        assert process.poll() is None, log.read_text()
        yield f"http://127.0.0.1:{port}/"
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)
        assert "Traceback" not in log.read_text(), log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def sign_in(chromium: Browser, shop: str, name: str) -> Page:
    page = await (await chromium.new_context()).new_page()
    await page.goto(shop)
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill("teapot")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading")).to_have_text(f"Hello, {name}")
    return page


async def order(page: Page) -> None:
    await page.get_by_role("button", name="Order a teapot").click()
    await expect(page.locator("#messages li")).to_have_text([re.compile(r"Order \w+ was placed\.")])


async def say(page: Page, text: str) -> None:
    await page.get_by_label("Message").fill(text)
    await page.get_by_role("button", name="Send").click()


async def open_order_of(page: Page, name: str) -> None:
    await page.reload()
    await page.get_by_role("button", name=f"of {name}").click()
    await expect(page.locator("#messages .system")).to_have_count(1)


async def test_customer_and_staff_talk_and_absent_get_pushes(chromium: Browser, shop: str) -> None:
    ann, sue, bob = [await sign_in(chromium, shop, name) for name in ("Ann", "Sue", "Bob")]
    await order(ann)
    await say(ann, "Is it blue?")
    await open_order_of(sue, "Ann")
    await say(sue, "It is red.")
    await expect(ann.locator("#messages li").last).to_have_text("Sue: It is red.")
    await ann.get_by_role("button", name="Pay").click()
    for page in (ann, sue):
        await expect(page.locator("#messages li:not(.system)")).to_have_text(["Ann: Is it blue?", "Sue: It is red."])
        await expect(page.locator("#messages .system").last).to_have_text(re.compile(r"Order \w+ was paid\."))
    await bob.reload()
    await expect(bob.get_by_role("heading")).to_have_text("Hello, Bob")
    await expect(bob.locator("#orders button")).to_have_count(0)

    await ann.goto("about:blank")
    async with asyncio.timeout(60):
        while "It is ready." not in (await (await ann.request.get(f"{shop}me")).json())["pushes"]:
            await say(sue, "It is ready.")  # again: who left less than a second ago may count as connected
            await asyncio.sleep(1)
    await ann.goto(shop)
    await expect(ann.get_by_label("On your phone")).to_contain_text("It is ready.")


async def test_banned_and_erased_customers_are_out_at_once(chromium: Browser, shop: str) -> None:
    ann, sue, bob = [await sign_in(chromium, shop, name) for name in ("Ann", "Sue", "Bob")]
    await order(bob)
    await open_order_of(sue, "Bob")
    await sue.get_by_role("button", name="Ban the customer").click()
    await expect(bob.get_by_role("status")).to_have_text("This account has been blocked.")

    await order(ann)
    await say(ann, "My street is a secret.")
    await open_order_of(sue, "Ann")
    await expect(sue.locator("#messages li").last).to_have_text("Ann: My street is a secret.")
    await ann.get_by_role("button", name="Erase my account").click()
    await expect(ann.get_by_role("button", name="Sign in")).to_be_visible()
    await expect(sue.locator("#messages li").last).to_have_text(re.compile(r"\(deleted\)$"))
    await sue.reload()
    await expect(sue.get_by_role("button", name="of a former customer")).to_be_visible()
