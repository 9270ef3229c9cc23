"""A small application on the JavaScript client, served by the load balancer beside the gateway."""

from pathlib import Path

from scripts.generators.version import current
from tests.support.servers import NGINX_WEB_SOCKETS

PAGE = """<!doctype html><meta name="viewport" content="width=device-width">
<form id="form"><input id="text"><button class="send">Send</button></form><ul id="messages"></ul>
<script type="module" src="app.js"></script>"""
"""The list is below the form, so that it moves no button from under a finger."""
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


def location(folder: Path) -> str:
    """Of nginx: the application at /app/, from its files below `folder`, and all else from the replicas."""
    (folder / "app").mkdir()
    (folder / "app/index.html").write_text(PAGE)
    (folder / "app/app.js").write_text(APP % current())
    types = "types { text/html html; text/javascript js; }"
    return (
        f"location /app/ {{ root {folder}; {types} }} location / {{ proxy_pass http://replicas; {NGINX_WEB_SOCKETS} }}"
    )
