"""The JavaScript client as the gateway serves it, in a small page of one's own, in every browser."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from chat_gateway_client import Client

from scripts.generators.version import current
from tests.browsers.browser import Browser
from tests.browsers.phone import Other, Phone, register
from tests.e2e.system import System
from tests.faults.links import Link
from tests.support.servers import NGINX_WEB_SOCKETS, NginxServer

pytestmark = pytest.mark.full
PAGE = """<!doctype html><meta name="viewport" content="width=device-width"><ul id="messages"></ul>
<form id="form"><input id="text"><button class="send">Send</button></form>
<script type="module" src="app.js"></script>"""
APP = """
import { Client } from "/static/client/%s/index.js";

const [token, chatId] = location.hash.slice(1).split(",");
const chat = new Client(location.origin, { token }).chat(Number(chatId));
chat.on("change", () => messages.replaceChildren(...chat.messages.map(({ text, status }) => {
  const row = document.createElement("li");
  row.className = `message ${status === "stored" ? "" : "pending"}`;
  row.append(Object.assign(document.createElement("span"), { className: "text", textContent: text }));
  return row;
})));
chat.open();
form.onsubmit = (event) => {
  event.preventDefault();
  chat.send(text.value);
  text.value = "";
};
"""


@pytest.fixture(scope="module")
def site(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxServer]:
    """The system with an application beside it, under one origin."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "app").mkdir()
    (folder / "app/index.html").write_text(PAGE)
    (folder / "app/app.js").write_text(APP % current())
    types = "types { text/html html; text/javascript js; }"
    location = (
        f"location /app/ {{ root {folder}; {types} }} location / {{ proxy_pass http://replicas; {NGINX_WEB_SOCKETS} }}"
    )
    with NginxServer(folder, [int(url.rpartition(":")[2]) for url in system.replica_urls], location) as server:
        yield server


async def test_client_sends_and_catches_up_over_a_cut_link(browser: Browser, site: NginxServer, tmp_path: Path) -> None:
    async with httpx.AsyncClient(base_url=site.url) as anns, httpx.AsyncClient(base_url=site.url) as bobs:
        ann, bob = await register(anns, "ann"), await register(bobs, "bob")
        chat = {"kind": "group", "members": [{"login": bob.login}]}
        chat_id = (await anns.post("/api/v1/chats", json=chat)).raise_for_status().json()["id"]
        async with Link(site.port) as link, Client(site.url, bob.token) as client:
            phone, other = Phone(browser, link), Other(client, bobs)
            await other.join(ann.login)
            await browser.goto(f"http://127.0.0.1:{link.port}/app/#{ann.token},{chat_id}")
            await phone.say("Hello, Bob")
            await phone.shows(["Hello, Bob"])
            link.reset()
            link.stall()
            await phone.say("sent without a network")
            await other.say("meanwhile")
            link.heal()
            texts = ["Hello, Bob", "meanwhile", "sent without a network"]
            await phone.shows(texts)
            await other.hears(texts)
