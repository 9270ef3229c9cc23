"""Seed 003's public channel with its links: logged-in users get a link and receive all messages."""

import asyncio
from typing import Any

import httpx
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.e2e.system import System

PASSWORD = "a long enough passphrase"
TIMEOUT_S = 30


async def log_in(url: str, login: str) -> str:
    """The token of a new user."""
    account = {"login": login, "password": PASSWORD}
    async with httpx.AsyncClient(base_url=url) as http:
        assert (await http.post("/register", json=account)).status_code == 201
        return str((await http.post("/login", json=account)).json()["access_token"])


async def link(url: str, token: str | None) -> httpx.Response:
    """What `/pub_ws` answers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=url, headers=headers) as http:
        return await http.get("/pub_ws")


async def enter(url: str, token: str) -> ClientConnection:
    """A socket at the link, as any tool for WebSockets opens one."""
    answer = await link(url, token)
    assert answer.status_code == 200, answer.text
    return await connect(answer.json()["url"], proxy=None)


async def next_text(socket: ClientConnection) -> str:
    """The text of the next message."""
    while True:
        frame: dict[str, Any] = orjson.loads(await asyncio.wait_for(socket.recv(), TIMEOUT_S))
        if frame["type"] == "message":
            return str(frame["data"]["text"])


async def test_link_holder_gets_history_and_new_messages(system: System) -> None:
    one, other = system.replica_urls[:2]
    ann, bob = await log_in(one, "ann"), await log_in(other, "bob")
    speaker = await enter(one, ann)
    said = ["Привет всем!", "[not an object]", "третье"]
    for text in said:
        await speaker.send(text)
        assert await next_text(speaker) == text
    newcomer = await enter(other, bob)
    assert [await next_text(newcomer) for _ in said] == said
    await newcomer.send("в реальном времени")
    assert await next_text(speaker) == await next_text(newcomer) == "в реальном времени"
    for socket in (speaker, newcomer):
        await socket.close()


async def test_link_needs_login_and_works_once(system: System) -> None:
    assert (await link(system.url, None)).status_code == 401
    assert (await link(system.url, "nonsense")).status_code == 401
    url = (await link(system.url, await log_in(system.url, "ann"))).json()["url"]
    async with connect(url, proxy=None):
        pass
    for unusable in (url, url.partition("?")[0]):
        with pytest.raises(InvalidStatus) as refused:
            await connect(unusable, proxy=None)
        assert refused.value.response.status_code == 401
