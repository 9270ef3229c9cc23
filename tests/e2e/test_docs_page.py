"""`/docs` in a real browser that reaches nothing else, and the documents behind it."""

import httpx
import orjson
from openapi_spec_validator import validate
from playwright.async_api import Browser, Page, Route, expect

from tests.e2e.system import System
from tests.seeds.extract import code_blocks, seed_text


async def open_docs(chromium: Browser, url: str) -> tuple[Page, list[str], list[str]]:
    """The page with every other host cut off; what it asked of others, and what a developer would see in red."""
    page = await (await chromium.new_context()).new_page()
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
    await page.goto(f"{url}/docs")
    return page, foreign, faults


async def test_the_page_shows_every_operation_and_carries_one_out(chromium: Browser, system: System) -> None:
    page, foreign, faults = await open_docs(chromium, system.url)
    paths = httpx.get(f"{system.url}/openapi.json").json()["paths"]
    await expect(page.locator(".opblock")).to_have_count(sum(map(len, paths.values())))
    assert {"/register", "/login", "/generate-token", "/message", "/echo_ws", "/pub_ws", "/history"} <= set(paths)

    register = page.locator("#operations-accounts_and_tokens-post_register")
    await register.locator(".opblock-summary").click()
    await register.get_by_role("button", name="Try it out").click()
    await register.locator("textarea").fill('{"login": "swagger", "password": "a long enough passphrase"}')
    await register.get_by_role("button", name="Execute").click()
    await expect(register.locator(".live-responses-table tbody .response-col_status")).to_contain_text("201")
    await expect(register.locator(".live-responses-table")).to_contain_text('"login": "swagger"')
    assert (foreign, faults) == ([], [])


async def test_the_documents_are_valid_and_the_same_on_every_replica(system: System) -> None:
    documents = [httpx.get(f"{url}/openapi.json").json() for url in system.replica_urls]
    assert documents[0] == documents[1]
    validate(documents[0])


async def test_the_postman_collection_has_seed_002s_requests_as_the_seed_shows_them(system: System) -> None:
    collection = httpx.get(f"{system.url}/postman.json").json()
    folder = next(folder for folder in collection["item"] if "seed 002" in folder["name"])
    bodies = {item["request"]["url"]["raw"]: item["request"]["body"]["raw"] for item in folder["item"]}
    shown = [orjson.loads(block.code) for block in code_blocks(seed_text(2)) if block.code.startswith("{")]
    assert {path: orjson.loads(body) in shown for path, body in bodies.items()} == {
        "{{baseUrl}}/generate-token": True,
        "{{baseUrl}}/message": True,
    }
