"""The others' code on the pages "coming from": run where their server can run here, else held against their types."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from gateway.up.ports import free_port
from tests.guide.snippets import snippets
from tests.node.tools import MODULES, output, run
from tests.support.servers import answers, wait_until

pytestmark = pytest.mark.full
CHANNELS = Path(__file__).with_name("channels_app.py")
GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def theirs(page: str, language: str) -> list[str]:
    """The code of the other system on a page, in order."""
    found = [each.code for each in snippets(f"docs/coming-from/{page}.md") if each.language == language]
    ours = re.compile(r"https://chat\.example\.com|await chat\.\w|\(chat\.\w|@login_required")
    return [code for code in found if not ours.search(code)]


async def test_socketio_code_runs(tmp_path: Path) -> None:
    receive, send, join, publish = theirs("socketio", "js")
    (tmp_path / "node_modules").symlink_to(MODULES)
    (tmp_path / "server.mjs").write_text(f"""
import {{ Server }} from "socket.io";
export const io = new Server(0);
const mayJoin = () => true;
{join}
io.on("connection", (socket) => socket.on("message", ({{ room, text }}, reply) => {{
  socket.to(room).emit("message", {{ text }});
  reply({{ isStored: true }});
  {publish}
}}));
export const port = io.httpServer.address().port;
""")
    local = receive.replace('"https://app.example.com"', "`http://127.0.0.1:${port}`")
    (tmp_path / "client.mjs").write_text(f"""
import {{ io }} from "socket.io-client";
import {{ io as server, port }} from "./server.mjs";
const token = "a token";
{local}
const told = new Promise((resolve) => socket.on("message", resolve));
{send}
console.log(reply.isStored);
await told;
socket.disconnect();
server.close();
""")
    assert await output("node", tmp_path / "client.mjs") == b"Order 7 was paid.\ntrue\n"


async def test_channels_code_runs(tmp_path: Path) -> None:
    *consumers, publish = theirs("channels", "python")
    (page,) = theirs("channels", "js")
    (tmp_path / "consumers.py").write_text("\n\n".join(consumers))
    (tmp_path / "publish.py").write_text(publish)
    port = free_port()
    server = await asyncio.create_subprocess_exec(sys.executable, str(CHANNELS), str(port), str(tmp_path))
    try:
        await asyncio.to_thread(wait_until, lambda: answers(port, GET, b"HTTP/1.1 404"), "the application is up")
        (tmp_path / "node_modules").symlink_to(MODULES)
        (tmp_path / "page.mjs").write_text(f"""
import {{ WebSocket }} from "ws";
const location = {{ host: "127.0.0.1:{port}" }};
{page.replace("wss:", "ws:")}
await new Promise((resolve) => socket.addEventListener("message", resolve));
await fetch(`http://${{location.host}}/publish`);
await new Promise((resolve) => socket.addEventListener("message", resolve));
socket.close();
""")
        assert await output("node", tmp_path / "page.mjs") == b"Hello\nOrder 7 was paid.\n"
    finally:
        server.kill()
        await server.wait()


async def test_code_without_server_here_fits_its_types(tmp_path: Path) -> None:
    """Centrifugo takes minutes to build, and Pusher's server is Pusher's: their libraries' types say what exists."""
    pusher = theirs("pusher", "js")
    backend = [code for code in pusher if re.search(r"authorizeChannel|trigger", code)]
    parts = {
        "centrifugo": (
            'import { Centrifuge } from "centrifuge";\ndeclare const getToken: () => Promise<string>;',
            theirs("centrifugo", "js"),
        ),
        "page": (
            'import Pusher from "pusher-js";\ndeclare const APP_KEY: string;',
            [code for code in pusher if code not in backend],
        ),
        "backend": (
            'import Pusher from "pusher";\ndeclare const pusher: Pusher;\ndeclare const request: any, response: any;',
            backend,
        ),
    }
    (tmp_path / "node_modules").symlink_to(MODULES)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for name, (preamble, codes) in parts.items():
        assert codes, name
        (tmp_path / f"{name}.ts").write_text("\n".join([preamble, *codes]))
    options = ["--noEmit", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler", "--strict", "false"]
    options += ["--target", "es2024", "--types", ""]
    await run("tsc", *options, *(tmp_path / f"{name}.ts" for name in parts))
