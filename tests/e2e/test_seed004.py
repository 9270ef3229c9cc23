"""Seed 004's own client class, extracted from the seed, talks through the whole system: in Node and in a browser.

And each JSON that the seed shows is taken, or sent, as it stands there.
"""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import orjson
from playwright.async_api import Browser, BrowserContext
from websockets.asyncio.client import ClientConnection, connect

from tests.e2e.system import System
from tests.node.client import node_chat_websocket
from tests.seeds.chat_websocket import ChatWebSocket
from tests.seeds.extract import code_blocks, seed_text
from tests.support.browser import browser_chat_websocket

PASSWORD = "a long enough passphrase"
TIMEOUT_S = 30


async def register(context: BrowserContext, url: str, login: str) -> str:
    """A new user, logged in in `context`; returns the token."""
    account = {"login": login, "password": PASSWORD, "first_name": login.title()}
    created = await context.request.post(f"{url}/register", data=account)
    assert created.status == 201, await created.text()
    entered = await context.request.post(f"{url}/login", data=account)
    return str((await entered.json())["access_token"])


async def new_chat(context: BrowserContext, url: str, login: str, token: str) -> int:
    """The id of a new chat between the owner of `token` and `login`."""
    answer = await context.request.post(
        f"{url}/api/v1/chats",
        data={"kind": "direct", "members": [{"login": login}]},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status == 201, await answer.text()
    return int((await answer.json())["id"])


async def talk(alice: ChatWebSocket, bob: ChatWebSocket) -> None:
    """Everything that the seed's class can do, each side seeing what the seed says."""
    await alice.connect()
    await bob.connect()

    await alice.send_message("Привет!")
    for side in (alice, bob):
        shown = await side.next("displayMessage")
        assert shown["text"] == "Привет!"
        assert shown["sender"]["username"] == "alice"
        assert shown["sender"]["first_name"] == "Alice"

    await bob.start_typing()
    typing = await alice.next("showTypingIndicator")
    assert (typing["username"], typing["is_typing"]) == ("bob", True)
    await bob.stop_typing()
    assert (await alice.next("showTypingIndicator"))["is_typing"] is False

    await bob.mark_as_read()
    assert (await alice.next("showReadIndicator"))["username"] == "bob"

    await bob.send_message(" ")
    assert (await bob.next("error")) == ["WebSocket error:", "Message text cannot be empty"]

    await bob.disconnect()
    await alice.disconnect()
    own_echoes = [event for event, _ in bob.events if event in ("showTypingIndicator", "showReadIndicator")]
    assert own_echoes == []


async def test_seed_class_in_node_and_chromium_chats_across_replicas(
    chromium: Browser, system: Any, tmp_path: Path
) -> None:
    one, other = system.replica_urls[:2]
    alice_context, bob_context = await chromium.new_context(), await chromium.new_context()
    alice_token = await register(alice_context, one, "alice")
    await register(bob_context, other, "bob")
    chat_id = await new_chat(alice_context, one, "bob", alice_token)
    bob = await browser_chat_websocket(bob_context, other, chat_id)
    async with node_chat_websocket(one.replace("http", "ws", 1), chat_id, alice_token, tmp_path) as alice:
        await talk(alice, bob)


async def test_seed_class_in_two_node_processes_chats_over_balancer(
    chromium: Browser, system: Any, tmp_path: Path
) -> None:
    context = await chromium.new_context()
    alice_token = await register(context, system.url, "alice")
    bob_token = await register(context, system.url, "bob")
    chat_id = await new_chat(context, system.url, "bob", alice_token)
    ws_base = system.url.replace("http", "ws", 1)
    async with (
        node_chat_websocket(ws_base, chat_id, alice_token, tmp_path) as alice,
        node_chat_websocket(ws_base, chat_id, bob_token, tmp_path) as bob,
    ):
        await talk(alice, bob)


async def test_seed_class_goes_on_after_a_reaction(chromium: Browser, system: Any, tmp_path: Path) -> None:
    context = await chromium.new_context()
    token = await register(context, system.url, "alice")
    await register(context, system.url, "bob")
    chat_id = await new_chat(context, system.url, "bob", token)
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        node_chat_websocket(system.url.replace("http", "ws", 1), chat_id, token, tmp_path) as alice,
        httpx.AsyncClient(base_url=f"{system.url}/api/v1/chats/{chat_id}/messages", headers=headers) as http,
    ):
        await alice.connect()
        await alice.send_message("one")
        message = await alice.next("displayMessage")
        (await http.put(f"/{message['id']}/reactions/%F0%9F%91%8D")).raise_for_status()
        await alice.send_message("two")
        assert (await alice.next("displayMessage"))["seq"] == 3
        assert [event for event, _ in alice.events if event == "error"] == []
        await alice.disconnect()


async def enter(http: httpx.AsyncClient, login: str, first_name: str, last_name: str) -> tuple[int, dict[str, str]]:
    """A new user's id and header."""
    account = {"login": login, "password": PASSWORD, "first_name": first_name, "last_name": last_name}
    user_id = (await http.post("/register", json=account)).json()["id"]
    token = (await http.post("/login", json=account)).json()["access_token"]
    return user_id, {"Authorization": f"Bearer {token}"}


async def next_of(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next frame of that type."""
    async with asyncio.timeout(TIMEOUT_S):
        while (frame := orjson.loads(await socket.recv()))["type"] != kind:
            pass
    return dict(frame)


def check(frame: dict[str, Any], shown: dict[str, Any], **known: object) -> None:
    """That the frame has what the seed shows, but for what is `known` to be different; it may have more."""
    assert {name: frame[name] for name in shown} == shown | known


async def test_every_json_of_the_seed_is_accepted_or_sent_verbatim(system: System) -> None:
    blocks = [orjson.loads(block.code) for block in code_blocks(seed_text(4)) if block.language == "json"]
    say, type_, read, greeting, said, typing, was_read, error, *errors = blocks
    one, other = system.replica_urls[:2]
    async with httpx.AsyncClient(base_url=system.url) as http:
        john_id, john = await enter(http, "john_doe", "John", "Doe")
        _, eve = await enter(http, "eve", "", "")
        body = {"kind": "direct", "members": [{"login": "eve"}]}
        chat_id = (await http.post("/api/v1/chats", json=body, headers=john)).json()["id"]
    path = f"/ws/chat/{chat_id}/"
    async with (
        connect(one.replace("http", "ws", 1) + path, additional_headers=john, proxy=None) as left,
        connect(other.replace("http", "ws", 1) + path, additional_headers=eve, proxy=None) as right,
    ):
        for socket in (left, right):
            check(await next_of(socket, greeting["type"]), greeting, chat_id=chat_id)
        for command in (type_, say):
            await left.send(orjson.dumps(command).decode())
        check(await next_of(right, typing["type"]), typing, user_id=john_id)
        for socket in (right, left):
            data = (await next_of(socket, said["type"]))["data"]
            shown = said["data"]
            assert type(data["id"]) is type(shown["id"]) and len(data["timestamp"]) == len(shown["timestamp"])
            check(data, shown, id=data["id"], timestamp=data["timestamp"], sender=shown["sender"] | {"id": john_id})
        await left.send(orjson.dumps(read).decode())  # what has been sent to him
        check(await next_of(right, was_read["type"]), was_read, user_id=john_id)
        wrong = ["{", orjson.dumps(say | {"text": ""}).decode(), '{"type":"invalid_type"}']
        for payload, answer in zip(wrong, errors, strict=True):
            await left.send(payload)
            told = await next_of(left, "error")
            check(told, answer)
            assert told.keys() >= error.keys()
