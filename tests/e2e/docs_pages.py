"""The pages /docs and /docs/ws in a browser, watched for errors."""

from typing import Any

from playwright.async_api import Browser, Page, Route


async def open_docs(chromium: Browser, url: str) -> tuple[Page, list[str], list[str]]:
    """`watched_page` at `/docs`."""
    page, foreign, faults = await watched_page(chromium, url)
    await page.goto(f"{url}/docs")
    return page, foreign, faults


async def watched_page(chromium: Browser, url: str, **options: Any) -> tuple[Page, list[str], list[str]]:
    """A page with every other host cut off; what it asked of others, and what a developer would see in red."""
    page = await (await chromium.new_context(**options)).new_page()
    foreign: list[str] = []
    faults: list[str] = []

    async def cut(route: Route) -> None:
        if route.request.url.startswith((url, "data:")):
            await route.continue_()
        else:
            foreign.append(route.request.url)
            await route.abort()

    await page.route("**/*", cut)
    page.on("console", lambda message: faults.extend([message.text] * (message.type == "error")))
    page.on("pageerror", lambda error: faults.append(str(error)))
    return page, foreign, faults
