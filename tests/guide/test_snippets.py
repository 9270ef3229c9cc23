"""Every snippet of the documentation parses, and those that call a gateway are run, all against one system.

The protocol's examples, the tutorial, the terminals of the README and the page of `web/` have tests of their own.
"""

import ast
import json
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import httpx
import jwt
import pytest
import yaml
from playwright.async_api import Browser, expect

from tests.e2e.system import System
from tests.guide.snippets import ROOT, Snippet, snippets

NAMES = subprocess.check_output(["git", "ls-files", "*.md"], cwd=ROOT, text=True).splitlines()
SNIPPETS = [each for name in NAMES if not name.startswith("tests/") for each in snippets(name)]
GATEWAY = "https://chat.example.com"
KEY = "a-key-of-20-characters"  # this and the next two are those of the tutorial
SECRET_KEY = "a-secret-of-32-characters-or-more"
ISSUER = "my-app"
CURLS = [each for each in SNIPPETS if each.language == "sh" and "curl" in each.code and GATEWAY in each.code]
PAGES = sorted({each.page for each in SNIPPETS if each.page.startswith("docs/coming-from/")})
SCRIPT = re.compile(r"(?s)<script[^>]*>(.*)</script>")
PARSE = """
import { readFileSync } from "node:fs";
import { transformSync } from "%s";
for (const [name, loader, code] of JSON.parse(readFileSync(0, "utf8"))) {
  try { transformSync(code, { loader, logLevel: "silent" }); } catch (error) { console.log(name, String(error)); }
}
"""
PREAMBLE = """
import { WebSocket } from "%(ws)s";
import { Client } from "%(client)s";
globalThis.WebSocket = WebSocket;
const token = "%(token)s";
"""


def of(language: str) -> list[Snippet]:
    return [each for each in SNIPPETS if each.language == language]


def faults(language: str, parse: Callable[[str], object]) -> list[str]:
    found = []
    for each in of(language):
        try:
            parse(each.code)
        except Exception as error:  # whatever the parser raises
            found.append(f"{each}: {error}")
    return found


def test_languages_are_known() -> None:
    known = {"sh", "python", "js", "jsx", "html", "json", "yaml", "text", "http"}
    assert [str(each) for each in SNIPPETS if each.language not in known] == []


def test_snippets_parse() -> None:
    assert faults("python", ast.parse) == []
    assert faults("yaml", yaml.safe_load) == []
    assert faults("json", lambda code: [json.loads(line) for line in _objects(code)]) == []
    shells = [
        (each, subprocess.run(["sh", "-n"], input=each.code, text=True, capture_output=True)) for each in of("sh")
    ]
    assert [f"{each}: {ended.stderr}" for each, ended in shells if ended.returncode] == []
    scripts = [(str(each), each.language, each.code) for each in of("js") + of("jsx")]
    scripts += [(str(each), "js", code) for each in of("html") for code in SCRIPT.findall(each.code)]
    assert {kind for _, kind, _ in scripts} == {"js", "jsx"}
    esbuild = ROOT / "tests/node/node_modules/esbuild/lib/main.js"
    command = ["node", "--input-type=module", "-e", PARSE % esbuild]
    assert subprocess.check_output(command, input=json.dumps(scripts), text=True) == ""


def _objects(code: str) -> list[str]:
    """One document over many lines, or one a line."""
    try:
        json.loads(code)
    except json.JSONDecodeError:
        return code.splitlines()
    return [code]


@dataclass(frozen=True)
class World:
    """A system with what the snippets name."""

    url: str

    def localized(self, code: str) -> str:
        """The snippet with the system's URL, and ids of a new chat of the users 42 and 43, and of a new user."""
        with httpx.Client(base_url=f"{self.url}/api/v1", headers={"X-Service-Key": KEY}) as http:
            user = http.put(f"/users/sub:{uuid.uuid4()}", json={}).raise_for_status().json()["user_id"]
            body = {"kind": "group", "members": [{"sub": "42"}, {"sub": "43"}]}
            chat = http.post("/chats", json=body).raise_for_status().json()["id"]
        ids = {"17": user, "2001": chat}
        code = re.sub(r"\b(?:2001|17)\b", lambda match: str(ids[match[0]]), code)
        return code.replace(GATEWAY, self.url).replace("http://127.0.0.1:8000", self.url)

    def token(self, sub: str) -> str:
        return jwt.encode({"iss": ISSUER, "sub": sub, "exp": int(time.time()) + 600}, SECRET_KEY)


@pytest.fixture
def world(system: System) -> World:
    return World(system.url)


def test_calls_by_curl_succeed(world: World) -> None:
    assert len(CURLS) > 8
    found = []
    for each in CURLS:
        script = f'curl() {{ command curl -fsS "$@"; }}\n{world.localized(each.code)}'
        environ = {"PATH": "/usr/bin:/bin", "KEY": KEY, "TOKEN": world.token("42")}
        ended = subprocess.run(["sh", "-euc", script], env=environ, text=True, capture_output=True)
        if ended.returncode:
            found.append(f"{each}: {ended.stderr}")
    assert found == []


@pytest.mark.parametrize("page", PAGES)
def test_our_side_of_comparison_runs(page: str, world: World, tmp_path: Path) -> None:
    ours = [each for each in snippets(page) if GATEWAY in each.code or re.search(r"\bchat\.\w", each.code)]
    with httpx.Client(base_url=f"{world.url}/api/v1", headers={"X-Service-Key": KEY}) as http:
        http.post("/chats", json={"kind": "group", "key": "order-7"}).raise_for_status()
        http.post("/chats/key:order-7/members", json={"sub": "42"}).raise_for_status()
    parts = {"ws": ROOT / "tests/node/node_modules/ws/wrapper.mjs", "client": ROOT / "clients/js/index.js"}
    script = tmp_path / "ours.mjs"
    code = "".join(world.localized(each.code) for each in ours if each.language == "js")
    script.write_text(f"{PREAMBLE % {**parts, 'token': world.token('42')}}{code}\nprocess.exit();\n", encoding="utf-8")
    ended = subprocess.run(["node", script], text=True, capture_output=True, timeout=300)
    assert (ended.stderr, ended.returncode) == ("", 0)


def test_python_of_channels_page_runs(world: World) -> None:
    (view,) = [each.code for each in SNIPPETS if "@login_required" in each.code]
    answers: dict[str, Any] = {}
    names = {
        "login_required": lambda function: function,
        "time": time,
        "jwt": jwt,
        "settings": SimpleNamespace(CHAT_SECRET_KEY=SECRET_KEY),
        "JsonResponse": answers.update,
    }
    user = SimpleNamespace(pk=42, get_full_name=lambda: "Ann Lee")
    exec(f"{view}\nchat_token(request)", names | {"request": SimpleNamespace(user=user)})
    me = httpx.get(f"{world.url}/api/v1/me", headers={"Authorization": f"Bearer {answers['token']}"}).json()
    assert me["sub"] == "42"


def test_python_client_snippets_run(world: World, tmp_path: Path) -> None:
    found = [each for each in of("python") if re.search(r"\b(?:Server|AsyncServer|[^.]Client)\(", each.code)]
    assert len(found) == 5
    for each in found:
        code = world.localized(each.code)
        code = re.sub(r"print\(event\..+\)", "return", code)  # the bot of the README runs for ever
        preamble = f"from chat_gateway_client import Server\ntoken, key = {world.token('42')!r}, {KEY!r}\n"
        command = [sys.executable, "-W", "error", "-c", preamble + code]
        environ = {"PYTHONPATH": str(ROOT / "clients/python"), "PATH": "/usr/bin:/bin"}
        ended = subprocess.run(command, env=environ, cwd=tmp_path, text=True, capture_output=True, timeout=300)
        assert (ended.stderr, ended.returncode) == ("", 0), str(each)


@contextmanager
def serving(pages: Mapping[str, str]) -> Iterator[str]:
    """The URL of a server with these pages, by their paths."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in pages else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(pages.get(self.path, "").encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_page_of_javascript_client_sends(world: World, chromium: Browser) -> None:
    (code,) = [each.code for each in of("html") if each.page == "clients/js/README.md"]
    with serving({"/": world.localized(code), "/chat-token": world.token("42")}) as url:
        page = await (await chromium.new_context()).new_page()
        await page.goto(url)
        await page.locator("#text").fill("Hello")
        await page.locator("#text").press("Enter")
        await expect(page.locator("#messages .stored")).to_have_text("Hello")
        await page.close()
