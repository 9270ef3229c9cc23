"""The page by keyboard and ear: what Orca says of a login, a chat, and the messages in it."""

from pathlib import Path

import httpx
import pytest
from chat_gateway_client import Client, Message, Reaction

from tests.browsers.phone import PASSWORD, register
from tests.browsers.screen_reader import is_installed, run_screen_reader
from tests.support.servers import NginxServer


@pytest.mark.full
@pytest.mark.skipif(not is_installed(), reason="needs Debian's orca, xdotool, openbox and firefox-esr")
async def test_orca_says_what_happens_on_the_page(site: NginxServer, tmp_path: Path) -> None:
    async with httpx.AsyncClient(base_url=site.url) as anns, httpx.AsyncClient(base_url=site.url) as bobs:
        ann, bob = await register(anns, "ann"), await register(bobs, "bob")
        body = {"kind": "direct", "members": [{"login": ann.login}]}
        chat_id = (await bobs.post("/api/v1/chats", json=body)).raise_for_status().json()["id"]
    async with Client(site.url, bob.token) as client, run_screen_reader(tmp_path, site.url) as orca:
        await client.subscribe(chat_id)
        first = await client.send(chat_id, "Lunch at noon?")

        await orca.hears("Focus mode")  # in the first field
        await orca.press("Tab")
        await orca.hears("Password password text")
        await orca.press("shift+Tab")
        assert "invalid" not in await orca.hears("Login entry required")
        await orca.type(ann.login)
        await orca.press("Tab")
        await orca.hears("Password password text")
        await orca.type(PASSWORD)
        await orca.press("Return")
        await orca.hears("New chat")
        await orca.title_becomes(r"^\(1\) Chat")  # the list of chats is there
        await orca.press("Tab")
        await orca.hears("Search my chats")
        await orca.press("Tab")
        await orca.hears(bob.login, "Lunch at noon?", "1 unread link")

        await orca.press("Return")
        await orca.hears(f"Message to {bob.login}")
        await orca.hears("Enter sends")
        await orca.type("Yes")
        await orca.press("Return")
        events = client.events()
        texts: list[str] = []
        while "Yes" not in texts:
            event = await anext(events)
            texts += [event.text] if isinstance(event, Message) else []
        await client.send(chat_id, "See you there")
        await orca.hears(f"{bob.login}: See you there")

        await orca.press("shift+Tab")
        await orca.hears(f"{bob.login}: See you there, ")
        await orca.press("Up")
        await orca.hears("You: Yes, ", ", Sent")
        await orca.press("Up")
        await orca.hears(f"{bob.login}: Lunch at noon?, ")
        await orca.press("r")
        await orca.hears("Thumbs up")
        await orca.press("Right")
        await orca.hears("Heart")
        await orca.press("Return")
        while not isinstance(event := await anext(events), Reaction):
            pass
        assert (event.message_id, event.key) == (first.message_id, "❤️")
        await orca.hears(f"{bob.login}: Lunch at noon?, ")
        await orca.press("Down", "Up")
        await orca.hears(f"{bob.login}: Lunch at noon?, ", ", Heart 1")
        await orca.press("Escape")
        await orca.hears(f"Message to {bob.login}")
