"""Seed 004's own client class, extracted from the seed, talks through the whole system: in Node and in a browser."""

from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext

from tests.browser import browser_chat_websocket
from tests.node.client import node_chat_websocket
from tests.seeds.chat_websocket import ChatWebSocket

PASSWORD = "a long enough passphrase"


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


async def test_the_seeds_class_in_node_and_in_chromium_talk_across_replicas(
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


async def test_the_seeds_class_in_two_node_processes_talks_through_the_balancer(
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
