"""Changes of an account on the whole system: sockets, the operator's hook, logs, and the page."""

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, expect

from auth.accounts.second_factor import STEP_S, code_at
from tests.auth.hook_server import run_hook_server
from tests.e2e.system import run_system
from tests.support.native_client import NativeClient

ANN = {"login": "ann", "password": "correct horse"}
WITHIN_S = 5.0
SECRET = "9f3c61d7ab02e84f9f3c61d7ab02e84f"


async def log_in(http: httpx.AsyncClient, password: str = ANN["password"]) -> dict[str, Any]:
    answer = await http.post("/login", json=ANN | {"password": password, "refresh": "body"})
    answer.raise_for_status()
    http.cookies.clear()
    tokens: dict[str, Any] = answer.json()
    return tokens


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def test_change_and_reset_end_sessions_on_every_replica(tmp_path: Path) -> None:
    async with run_hook_server() as hook:
        environ = {"PASSWORD_RESET_HOOK": hook.url, "PASSWORD_RESET_SECRET": SECRET}
        with run_system(tmp_path, environ) as system:
            async with httpx.AsyncClient(base_url=system.url, trust_env=False) as http:
                (await http.post("/register", json=ANN)).raise_for_status()
                own, other = await log_in(http), await log_in(http)
                base = system.replica_urls[0].replace("http", "ws", 1)
                mine = await NativeClient.connect(f"{base}/ws/mine", own["access_token"])
                others = [
                    await NativeClient.connect(f"{url.replace('http', 'ws', 1)}/ws/o", other["access_token"])
                    for url in system.replica_urls
                ]
                body = {"current_password": ANN["password"], "new_password": "battery staple"}
                answer = await http.post("/api/v1/password", json=body, headers=bearer(own))
                assert answer.status_code == 204, answer.text
                async with asyncio.timeout(WITHIN_S + 5):
                    for client in others:
                        await client.socket.wait_closed()
                assert [client.socket.close_code for client in others] == [4401, 4401]
                assert (await http.get("/api/v1/chats", headers=bearer(other))).status_code == 401
                assert (await http.get("/api/v1/chats", headers=bearer(own))).status_code == 200
                assert (await mine.ask("ping"))["type"] == "pong"

                assert (await http.post("/api/v1/password/reset", json={"login": "ANN"})).status_code == 202
                mail = await hook.mailed()
                assert mail["login"] == "ann"
                reset = {"token": mail["token"], "new_password": "another staple"}
                assert (await http.post("/api/v1/password/reset/confirm", json=reset)).status_code == 204
                async with asyncio.timeout(WITHIN_S + 5):
                    await mine.socket.wait_closed()
                assert mine.socket.close_code == 4401
                await erase(http, base, await log_in(http, "another staple"))
    logs = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix in (".log", ".txt", "")]
    text = b"".join(path.read_bytes() for path in logs)
    assert b"password_reset_sent" in text
    assert mail["token"].encode() not in text


async def erase(http: httpx.AsyncClient, base: str, tokens: dict[str, Any]) -> None:
    """Ann, who has just logged in, erases the own account."""
    client = await NativeClient.connect(f"{base}/ws/mine", tokens["access_token"])
    assert (await http.delete("/api/v1/me?messages=erase", headers=bearer(tokens))).status_code == 202
    async with asyncio.timeout(WITHIN_S + 5):
        await client.socket.wait_closed()
    assert client.socket.close_code == 4401
    for password in (ANN["password"], "another staple"):
        assert (await http.post("/login", json=ANN | {"password": password})).status_code == 401
    renewal = {"refresh_token": tokens["refresh_token"]}
    assert (await http.post("/api/v1/login/refresh", json=renewal)).status_code == 401
    (await http.post("/register", json=ANN)).raise_for_status()  # the login is free again


async def test_page_asks_for_the_code_of_a_second_factor(chromium: Browser, tmp_path: Path) -> None:
    with run_system(tmp_path) as system:
        async with httpx.AsyncClient(base_url=system.url, trust_env=False) as http:
            (await http.post("/register", json=ANN)).raise_for_status()
            headers = bearer(await log_in(http))
            body = {"current_password": ANN["password"]}
            secret = (await http.post("/api/v1/totp", json=body, headers=headers)).json()["secret"]
            otp = code_at(secret, int(time.time()) // STEP_S).decode()
            (await http.post("/api/v1/totp/confirm", json={"otp": otp}, headers=headers)).raise_for_status()
        page = await chromium.new_page()
        await page.goto(system.url)
        await expect(page.locator("#login-otp")).to_be_hidden()
        await page.fill("[name=login]", "ann")
        await page.fill("[name=password]", ANN["password"])
        await page.click("#login-submit")
        await expect(page.locator("#login-error")).to_contain_text("code of your authenticator")
        await page.fill("[name=otp]", "000000x")
        await page.click("#login-submit")
        await expect(page.locator("#login-error")).to_contain_text("The code is wrong")
        await page.fill("[name=otp]", code_at(secret, int(time.time()) // STEP_S + 1).decode())
        await page.click("#login-submit")
        await expect(page.locator("#my-name")).to_have_text("ann")
        await expect(page.locator("#login-otp")).to_be_hidden()
