"""The pages /docs and /docs/ws in a browser, watched for errors."""

import json
import re
from collections.abc import Collection
from typing import Any

from playwright.async_api import Browser, Page, Route


async def open_docs(
    chromium: Browser, url: str, operations: Collection[str] | None = None
) -> tuple[Page, list[str], list[str]]:
    """`watched_page` at `/docs`, with all operations or only these, and the schemas that they use.

    The page draws all operations and schemas anew for each key and each response.
    """

    async def leave_out(route: Route) -> None:
        response = await route.fetch()
        document = await response.json()
        for path in document["paths"].values():
            for method in [key for key, value in path.items() if value.get("operationId") not in operations]:
                del path[method]
        schemas = document["components"].pop("schemas")
        document["components"]["schemas"] = {name: schemas[name] for name in _schemas_of(document, schemas)}
        await route.fulfill(response=response, json=document)

    page, foreign, faults = await watched_page(chromium, url)
    if operations is not None:
        await page.route("**/openapi.json", leave_out)
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


def _schemas_of(document: dict[str, Any], schemas: dict[str, Any]) -> set[str]:
    """The names of the schemas that a document uses, directly or by another schema."""
    found: set[str] = set()
    unread: list[Any] = [document]
    while unread:
        named = re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(unread.pop()))
        unread.extend(schemas[name] for name in set(named) - found)
        found.update(named)
    return found
