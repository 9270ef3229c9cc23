"""Behind common proxies: a real nginx that strips a path prefix or drops WebSocket headers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from playwright.async_api import Browser, expect
from websockets.asyncio.client import connect

from tests.e2e.docs_pages import open_docs
from tests.e2e.system import System, run_system
from tests.e2e.windows import PASSWORD, two_in_a_chat
from tests.support.cluster import run_cluster
from tests.support.servers import NGINX_WEB_SOCKETS, NginxServer

WEB_SOCKETS = [
    "/ws/chat/1/",
    "/ws/chat/1",
    "/ws/me",
    "/ws/a%2Fb",
    "/ws/service-chats/1",
    "/ws/support-chats/1/",
    "/updates/room%201",
    "/channels/echo",
    "/channels/public/",
]
HANDSHAKE = {
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


async def test_websocket_url_without_upgrade_is_426_with_proxy_hint(
    tmp_path: Path, redis_url: str, sqlite_url: str
) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1) as cluster:
        url = cluster.nodes[0].url
        for path in WEB_SOCKETS:
            answer = httpx.get(f"{url}{path}?token=secret", headers=HANDSHAKE)
            assert (answer.status_code, answer.headers["content-type"]) == (426, "application/problem+json"), path
            assert (answer.headers["upgrade"], answer.headers["connection"]) == ("websocket", "Upgrade")
            assert answer.json()["code"] == "upgrade_required"
            assert "proxy" in answer.json()["detail"]
            assert "secret" not in answer.text
        half = httpx.get(f"{url}/ws/chat/1/", headers={**HANDSHAKE, "Upgrade": "websocket", "Connection": "close"})
        assert half.status_code == 426  # a proxy that drops only Connection
        assert httpx.get(f"{url}/livez").status_code == 200
        assert httpx.get(f"{url}/ws/a/b").status_code == 404
        assert httpx.post(f"{url}/ws/chat/1/").status_code == 405


async def test_proxy_that_drops_upgrade_gets_426(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    async with run_cluster(tmp_path / "nodes", redis_url, sqlite_url, nodes=1) as cluster:
        folder = tmp_path / "nginx"
        folder.mkdir()
        with NginxServer(
            folder, [cluster.nodes[0].port], location="location / { proxy_pass http://replicas; }"
        ) as nginx:
            handshake = {**HANDSHAKE, "Connection": "Upgrade", "Upgrade": "websocket"}
            answer = httpx.get(f"{nginx.url}/ws/chat/1/", headers=handshake)
            assert (answer.status_code, answer.json()["code"]) == (426, "upgrade_required")
            assert "proxy_set_header Upgrade" in answer.json()["detail"]


LOCATION = f"""
    location /chat/ {{ proxy_pass http://replicas/; {NGINX_WEB_SOCKETS} }}
    location / {{ return 404; }}
"""


@pytest.fixture
def prefixed(tmp_path: Path) -> Iterator[System]:
    """A system behind an nginx that serves it below `/chat/` and nothing else."""
    folder = tmp_path / "prefix"
    folder.mkdir()
    nginx = NginxServer(folder, [], LOCATION)
    url = f"{nginx.url}/chat"
    with run_system(tmp_path, {"PUBLIC_URL": url, "TRUSTED_PROXIES": "127.0.0.1"}, nginx) as system:
        yield replace(system, url=url)


async def test_page_works_below_a_path_prefix(chromium: Browser, prefixed: System) -> None:
    alice, bob = await two_in_a_chat(chromium, f"{prefixed.url}/")
    await alice.say("Hello below a prefix")
    await expect(bob.messages.locator(".text")).to_have_text(["Hello below a prefix"])
    for window in (alice, bob):
        assert window.faults == []
        assert [url for url in window.requested if not url.startswith(f"{prefixed.url}/")] == []
    cookies = await alice.page.context.cookies()
    assert {(cookie["name"], cookie["path"]) for cookie in cookies} == {
        ("access_token", "/chat"),
        ("chat_gateway_device", "/chat"),
    }


async def test_every_produced_url_has_the_prefix_for_any_host(prefixed: System) -> None:
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    async with httpx.AsyncClient(base_url=f"{prefixed.url}/", trust_env=False) as http:
        account = {"login": "ann", "password": PASSWORD}
        (await http.post("register", json=account)).raise_for_status()
        answer = await http.post("login", json=account, headers=evil)
        assert "; Path=/chat;" in answer.headers["set-cookie"]
        token = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        websocket_root = prefixed.url.replace("http", "ws", 1)
        for path, channel in (("echo_ws", "channels/echo"), ("pub_ws", "channels/public")):
            link = (await http.get(path, headers=token | evil)).json()["url"]
            assert link.startswith(f"{websocket_root}/{channel}?token=tkt_")
            async with connect(link, proxy=None):
                pass
        assert (await http.get("openapi.json", headers=evil)).json()["servers"] == [{"url": prefixed.url}]
        variables = (await http.get("postman.json", headers=evil)).json()["variable"]
        assert {"key": "baseUrl", "value": prefixed.url} in variables
        server = (await http.get("asyncapi.json", headers=evil)).json()["servers"]["gateway"]
        assert f"{server['protocol']}://{server['host']}{server['pathname']}" == websocket_root
        for path, to in (("docs/", "docs"), ("register/", "register"), ("docs/?a=1", "docs?a=1")):
            redirect = await http.get(path, headers=evil)
            assert redirect.status_code == 307
            assert urljoin(f"{prefixed.url}/{path}", redirect.headers["location"]) == f"{prefixed.url}/{to}"
        for path in ("", "static/page.js", "static/style.css", "docs", "docs/swagger_bundle.js"):
            assert (await http.get(path)).status_code == 200, path


async def test_swagger_calls_below_the_prefix(chromium: Browser, prefixed: System) -> None:
    page, foreign, faults = await open_docs(chromium, prefixed.url, {"post_register"})
    operation = page.locator("#operations-accounts_and_tokens-post_register")
    await operation.locator(".opblock-summary").click()
    await operation.get_by_role("button", name="Try it out").click()
    await operation.get_by_role("button", name="Execute").click()
    await expect(operation.locator(".live-responses-table tbody .response-col_status")).to_contain_text("201")
    assert (foreign, faults) == ([], [])
