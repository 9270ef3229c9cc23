"""`/docs` in a real browser without access to other hosts, and its documents."""

import re
from pathlib import Path

import httpx
import orjson
from openapi_spec_validator import validate
from playwright.async_api import Browser, Page, expect

from tests.e2e.docs_pages import open_docs
from tests.e2e.system import System
from tests.seeds.extract import code_blocks, seed_text
from tests.support.cluster import run_cluster


async def test_docs_page_shows_every_operation_and_executes_one(chromium: Browser, system: System) -> None:
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


async def test_openapi_document_is_valid_and_equal_on_every_replica(system: System) -> None:
    documents = [httpx.get(f"{url}/openapi.json").json() for url in system.replica_urls]
    assert documents[0] == documents[1]
    validate(documents[0])
    assert re.findall(r"(?i)\bseeds? 0*\d", str(documents[0])) == []  # readers do not know our sources


async def test_postman_collection_has_seed_002_requests(system: System) -> None:
    collection = httpx.get(f"{system.url}/postman.json").json()
    folder = next(folder for folder in collection["item"] if folder["name"] == "rooms")
    bodies = {item["request"]["url"]["raw"]: item["request"]["body"]["raw"] for item in folder["item"]}
    shown = [orjson.loads(block.code) for block in code_blocks(seed_text(2)) if block.code.startswith("{")]
    assert {path: orjson.loads(body) in shown for path, body in bodies.items()} == {
        "{{baseUrl}}/generate-token": True,
        "{{baseUrl}}/message": True,
    }


async def execute(page: Page, name: str, *, stays_open: bool = False) -> tuple[str, str]:
    """Try an operation out as it is; the status and the body of the answer.

    It is closed again unless it `stays_open`: the page draws all open ones anew for each key and each answer.
    """
    operation = page.locator(f'[id^="operations-"][id$="-{name}"]')
    if await operation.get_by_role("button", name="Try it out").count() == 0:
        await operation.locator(".opblock-summary-control").click()
        await operation.locator(".try-out__btn").wait_for()
    if await operation.get_by_role("button", name="Try it out").count():
        await operation.get_by_role("button", name="Try it out").click()
    await operation.get_by_role("button", name="Execute").click()
    status = operation.locator(".live-responses-table tbody .response-col_status").first
    await expect(status).to_have_text(re.compile(r"\d{3}"))
    answer = (await status.inner_text()).split()[0], await operation.locator(".live-responses-table").inner_text()
    if not stays_open:
        await operation.locator(".opblock-summary-control").click()
        await expect(operation.locator(".opblock-body")).to_have_count(0)
    return answer


async def authorize(page: Page, login: str, password: str) -> None:
    """Log in by the OAuth2 form in Swagger's Authorize dialog."""
    await page.locator(".auth-wrapper .authorize").first.click()
    form = page.locator(".auth-container", has_text="password (OAuth2, password)")
    await form.locator("#oauth_username").fill(login)
    await form.locator("#oauth_password").fill(password)
    await form.locator("button.authorize").click()
    await expect(form).to_contain_text("Logout")
    await page.locator(".btn-done").first.click()


USER_EXAMPLES = {
    "post_chats": "201",
    "get_chats": "200",
    "get_chats_chat_id": "200",
    "post_chats_chat_id_messages": "201",
    "get_chats_chat_id_messages": "200",
    "get_chats_chat_id_presence": "200",
    "get_echo_ws": "200",
    "get_pub_ws": "200",
    "get_history": "200",
    "post_login": "200",
    "post_login_access_token": "200",
    "get_well_known_jwks_json": "200",
    "post_generate_token": "200",
    "post_message": "200",
    "get_livez": "200",
    "get_readyz": "200",
    "get_metrics": "200",
}
"""Operations and the status of their responses, in the order in which they depend on each other."""
MEMBERS = ("post_chats_chat_id_members", "delete_chats_chat_id_members_user_id")


async def test_every_user_example_works_unchanged(chromium: Browser, system: System) -> None:
    page, foreign, faults = await open_docs(chromium, system.url, {"post_register", *USER_EXAMPLES, *MEMBERS})
    assert (await execute(page, "post_register", stays_open=True))[0] == "201"
    await authorize(page, "ann", "correct horse")
    await page.context.clear_cookies()  # so that it is the token of the dialog that counts
    for name, status in USER_EXAMPLES.items():
        assert (name, (await execute(page, name))[0]) == (name, status)
    register = page.locator("#operations-accounts_and_tokens-post_register")
    await register.locator(".examples-select select").select_option("bob")
    await register.get_by_role("button", name="Execute").click()
    await expect(register.locator(".live-responses-table").first).to_contain_text('"login": "bob"')
    assert [(await execute(page, name))[0] for name in MEMBERS] == ["201", "204"]
    assert (foreign, faults) == ([], [])


SERVICE_EXAMPLES = {
    "get_users_user_id_clients": "200",
    "post_users_user_id_send": "202",
    "post_clients_client_id_send": "202",
}


async def test_every_service_example_works_unchanged(
    chromium: Browser, tmp_path: Path, redis_url: str, sqlite_url: str
) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, SERVICE_KEYS="a-key-of-a-service-1") as cluster:
        user = await cluster.user()
        assert user.id == 1  # the examples' own
        page, foreign, faults = await open_docs(chromium, cluster.nodes[0].url, SERVICE_EXAMPLES)
        await page.locator(".auth-wrapper .authorize").first.click()
        form = page.locator(".auth-container", has_text="X-Service-Key")
        await form.locator("input").fill("a-key-of-a-service-1")
        await form.locator("button.authorize").click()
        await page.locator(".btn-done").first.click()
        for name, status in SERVICE_EXAMPLES.items():
            assert (name, (await execute(page, name))[0]) == (name, status)
        assert (foreign, faults) == ([], [])


def test_allowed_origin_may_call_every_method(system: System) -> None:
    paths = httpx.get(f"{system.url}/openapi.json").json()["paths"]
    headers = {"Origin": system.url, "Access-Control-Request-Method": "PUT"}
    answer = httpx.options(f"{system.url}/api/v1/chats/1/owner", headers=headers)
    known = {"get", "post", "put", "patch", "delete", "head"}
    methods = {method.upper() for operations in paths.values() for method in operations if method in known}
    assert set(answer.headers["Access-Control-Allow-Methods"].split(", ")) == methods
