"""What scripts/build makes, installed from its files and used without the repository."""

import hashlib
import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from gateway.up.ports import free_port
from scripts.generators.version import current
from tests.deploy.programs import ROOT, charted, helm, images, program
from tests.support.servers import wait_until

VERSION = current()
PARTS = ["wheels", "npm", "chart", "bill"]  # the image is built in the full run, see test_image.py
PASSWORD = "a long enough passphrase"
ENVIRON = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
"""Without PYTHONPATH, which may name the checkout."""


def run(*command: str | Path, cwd: Path = ROOT, path: str = "") -> str:
    """What a command prints; raises with its errors."""
    environ = ENVIRON | {"PATH": f"{path}:{ENVIRON['PATH']}"}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that scripts/build makes, but the image."""
    folder = tmp_path_factory.mktemp("published") / "dist"
    run(ROOT / "scripts/build", "--to", folder, *PARTS, path=str(Path(program("helm", "newest")).parent))
    return folder


@pytest.fixture(scope="module")
def environment(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheels, and what they depend on from ours."""
    environment = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", environment)
    run(environment / "bin/python", "-m", "pip", "--quiet", "install", "--no-deps", *dist.glob("*.whl"))
    (site,) = environment.glob("lib/python*/site-packages")
    ours = [path for path in sys.path if path.endswith("site-packages")] or [sysconfig.get_path("purelib")]
    (site / "dependencies.pth").write_text("".join(f"{path}\n" for path in ours))
    return environment


@pytest.fixture(scope="module")
def url(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """That of a gateway which runs from the wheel."""
    folder = tmp_path_factory.mktemp("up")
    port = free_port()
    command = [environment / "bin/chat-gateway", "up", "--replicas", "1", "--port", str(port)]
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=ENVIRON, stdout=log, stderr=log)
    try:
        text = (folder / "up.log").read_text
        wait_until(lambda: "is up" in text() or process.poll() is not None, "up is up")
        assert process.poll() is None, text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def token(url: str) -> str:
    """That of a user of the running gateway."""
    account = {"login": "ann", "password": PASSWORD}
    httpx.post(f"{url}/register", json=account).raise_for_status()
    return str(httpx.post(f"{url}/login", json=account).raise_for_status().json()["access_token"])


@pytest.fixture(scope="module")
def chat_id(url: str, token: str) -> int:
    """That of a chat of the user."""
    headers = {"Authorization": f"Bearer {token}"}
    made = httpx.post(f"{url}/api/v1/chats", json={"kind": "group", "title": "Published"}, headers=headers)
    return int(made.raise_for_status().json()["id"])


def test_every_file_has_the_version_and_its_checksum(dist: Path) -> None:
    npm = [json.loads(path.read_text()) for path in ROOT.glob("clients/*/package.json")]
    names = {
        f"chat_gateway-{VERSION}-py3-none-any.whl",
        f"chat_gateway_client-{VERSION}-py3-none-any.whl",
        f"chat-gateway-{VERSION}.tgz",
        f"chat-gateway-{VERSION}.cdx.json",
        *(f"{package['name'].lstrip('@').replace('/', '-')}-{VERSION}.tgz" for package in npm),
    }
    assert {path.name for path in dist.iterdir()} == names | {"SHA256SUMS"}
    sums = dict(reversed(line.split("  ")) for line in (dist / "SHA256SUMS").read_text().splitlines())
    assert sums == {name: hashlib.sha256((dist / name).read_bytes()).hexdigest() for name in names}


def test_every_package_has_the_license(dist: Path) -> None:
    for package in dist.glob("*.whl"):
        with zipfile.ZipFile(package) as archive:
            assert any(name.endswith(".dist-info/licenses/LICENSE") for name in archive.namelist()), package
    for package in set(dist.glob("*.tgz")) - {dist / f"chat-gateway-{VERSION}.tgz"}:
        with tarfile.open(package) as archive:
            assert "package/LICENSE" in archive.getnames(), package


def test_installed_wheel_serves_the_page(environment: Path, url: str) -> None:
    page = httpx.get(f"{url}/", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["Content-Type"].partition(";")[0]) == (200, "text/html")
    for path in ("page.js", "client/current/index.js", f"client/{VERSION}/src/client.js"):
        assert httpx.get(f"{url}/static/{path}").status_code == 200, path
    assert f"chat-gateway {VERSION}" in run(environment / "bin/chat-gateway", "--version")


def test_installed_python_client_sends_and_receives(
    environment: Path, url: str, token: str, chat_id: int, tmp_path: Path
) -> None:
    python = environment / "bin/python"
    assert run(python, "-c", _PYTHON_CLIENT, url, token, str(chat_id), cwd=tmp_path) == f"{environment} Hello\n"


def test_installed_python_client_is_typed(environment: Path, tmp_path: Path) -> None:
    """For an application that is checked strictly: what it may use passes, what it may not is an error in its line."""
    (tmp_path / "right.py").write_text(_TYPED)
    (tmp_path / "wrong.py").write_text(_MISTYPED)
    options = ["--strict", "--python-executable", environment / "bin/python", "--cache-dir", tmp_path / "cache"]
    mypy = [sys.executable, "-m", "mypy", *options]
    assert run(*mypy, "right.py", cwd=tmp_path).startswith("Success")
    checked = subprocess.run([*mypy, "wrong.py"], cwd=tmp_path, env=ENVIRON, text=True, capture_output=True)
    wrong = [number for number, line in enumerate(_MISTYPED.splitlines(), 1) if line.endswith("# wrong")]
    reported = re.findall(r"(?m)^wrong\.py:(\d+): error", checked.stdout)
    assert sorted(set(map(int, reported))) == wrong, checked.stdout


_TYPED = """
from collections.abc import Mapping
from datetime import datetime

from chat_gateway_client import AsyncServer, CaughtUp, Client, Message, Other, Position, Reaction, Rejected, Reset
from chat_gateway_client import Server, Stored, Truncated, is_signed


async def token(why: str) -> str:
    return why


async def bot(url: str) -> Position | None:
    async with Client(url, token, client_id="bot", max_events=10) as client:
        me: int | None = client.user_id
        await client.subscribe(1, since=Position.parse("e:1"))
        stored: Stored = await client.send(1, "Hello", client_msg_id="1", data={"order": me})
        await client.react(1, stored.message_id, "+", remove=stored.duplicate)
        page: list[Message] = await client.history(1, before_seq=stored.seq)
        async for event in client.events():
            match event:
                case Message(sent_at=datetime(), sender=sender):
                    name: str = "" if sender is None else sender.display_name
                    print(name, event.text, page)
                case Reaction():
                    counts: Mapping[str, int] = event.counts
                    print(counts)
                case Reset() | CaughtUp():
                    return event.position
                case Truncated():
                    print(event.first_seq)
                case Other():
                    print(event.type, event.raw.get("chat_id"))
        return client.position(1)


async def backend(url: str, body: bytes) -> bool:
    async with AsyncServer(url, "key") as server:
        await server.create_chat(title="Order 7", members=[{"sub": "42"}])
    with Server(url, "key", timeout_s=1) as blocking:
        try:
            blocking.send("key:order-7", "Paid.", on_behalf_of="sub:42")
        except Rejected as error:
            status: int | None = error.status
            print(error.code.upper(), status)
    return is_signed("t=1,v1=0", body, "secret", max_age_s=1)
"""
_MISTYPED = """
from chat_gateway_client import Client, Message, Server


async def bot(client: Client) -> None:
    await client.send("2001", "Hello")  # wrong
    await client.subscribe(2001, since="e:1")  # wrong
    async for event in client.events():
        print(event.text)  # wrong
        if isinstance(event, Message):
            event.text = "other"  # wrong


Client("http://x", lambda: "token")  # wrong
Server("http://x").send(1, "Hello")  # wrong
"""


_PYTHON_CLIENT = """
import asyncio, sys, chat_gateway_client
from chat_gateway_client import Client, Message

async def main(url, token, chat_id):
    async with Client(url, token) as client, asyncio.timeout(60):
        await client.subscribe(int(chat_id))
        await client.send(int(chat_id), "Hello")
        async for event in client.events():
            if isinstance(event, Message):
                print(chat_gateway_client.__file__.partition("/lib/")[0], event.text)
                return

asyncio.run(main(*sys.argv[1:]))
"""


def test_installed_npm_packages_send_receive_and_render(
    dist: Path, url: str, token: str, chat_id: int, tmp_path: Path
) -> None:
    (tmp_path / "package.json").write_text('{"private": true, "type": "module"}')
    packages = [dist / f"chat-gateway-{name}-{VERSION}.tgz" for name in ("client", "react")]
    run("npm", "install", "--offline", "--legacy-peer-deps", "--no-audit", "--no-fund", *packages, cwd=tmp_path)
    for name in ("react", "react-dom", "ws"):
        (tmp_path / "node_modules" / name).symlink_to(ROOT / "tests/node/node_modules" / name)
    (tmp_path / "run.js").write_text(_NODE_CLIENT)
    received, rendered = run("node", "run.js", url, token, str(chat_id), cwd=tmp_path).splitlines()
    assert received == "Hello from Node"
    assert rendered.endswith("Hello from Node</p>")


_NODE_CLIENT = """
import { Client } from "@chat-gateway/client";
import { ClientProvider, useChat } from "@chat-gateway/react";
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import WebSocket from "ws";

const [url, token, chatId] = process.argv.slice(2);
const client = new Client(url, { token, WebSocket });
const chat = client.chat(Number(chatId));
const heard = new Promise((resolve) => {
  chat.on("event", ({ data }) => data?.text === "Hello from Node" && resolve(data.text));
});
chat.open();
await chat.send("Hello from Node");
console.log(await heard);
const Texts = () => createElement("p", null, useChat(Number(chatId)).messages.map(({ text }) => text).join());
console.log(renderToString(createElement(ClientProvider, { client }, createElement(Texts))));
client.close();
"""


def test_packaged_chart_renders_the_same_as_its_folder(dist: Path) -> None:
    chart = dist / f"chat-gateway-{VERSION}.tgz"
    text = helm("template", chart=chart)
    assert [each for each in yaml.safe_load_all(text) if each] == charted()
    assert images(charted()) == {f"chat-gateway:{VERSION}"}
