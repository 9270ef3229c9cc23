"""The call of the operator's hook."""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator

import pytest

from auth.credentials import reset_hook
from auth.credentials.password_reset import ResetMail
from auth.credentials.reset_hook import open_reset_hook
from auth.errors import HookFailed
from tests.auth.hook_server import OK, HookServer, run_hook_server

MAIL = ResetMail("ann@example.com", 7, "pwr_secret", 1_750_000_000)


@pytest.fixture
async def hook() -> AsyncIterator[HookServer]:
    async with run_hook_server() as hook:
        yield hook


async def test_call_is_signed(hook: HookServer) -> None:
    async with open_reset_hook(hook.url, "the secret") as deliver:
        await deliver(MAIL)
    ((headers, body),) = hook.calls
    assert hook.mails == [
        {"login": "ann@example.com", "user_id": 7, "token": "pwr_secret", "expires_at": 1_750_000_000}
    ]
    at, _, signature = headers["x-chat-signature"].partition(",v1=")
    assert abs(int(at.removeprefix("t=")) - time.time()) < 60
    assert signature == hmac.new(b"the secret", at.removeprefix("t=").encode() + b"." + body, "sha256").hexdigest()


async def test_call_without_secret_has_no_signature(hook: HookServer) -> None:
    async with open_reset_hook(hook.url, "") as deliver:
        await deliver(MAIL)
    assert "x-chat-signature" not in hook.calls[0][0]


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: /mail\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "status 302"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "status 500"),
        (b"nonsense\r\n\r\n", "ProtocolError"),
        (None, "timeout"),
    ],
)
async def test_redirect_slow_and_failing_hooks_fail(
    hook: HookServer, response: bytes | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reset_hook, "TIMEOUT_S", 0.5)
    hook.responses = [response]
    async with open_reset_hook(hook.url, "the secret") as deliver:
        with pytest.raises(HookFailed, match=reason):
            async with asyncio.timeout(5):
                await deliver(MAIL)
    assert len(hook.calls) == 1


async def test_endless_response_body_is_not_read(hook: HookServer) -> None:
    hook.responses = [OK.replace(b"204 No Content", b"200 OK") + b"x" * 100_000]
    async with open_reset_hook(hook.url, "the secret") as deliver:
        await deliver(MAIL)


async def test_unreachable_hook_fails_without_its_url() -> None:
    async with open_reset_hook("http://user:hunter2@127.0.0.1:1/", "the secret") as deliver:
        with pytest.raises(HookFailed, match=r"^ConnectError$"):
            await deliver(MAIL)
