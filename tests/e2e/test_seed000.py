"""Seed 000's own client code, extracted from the seed, through the whole system: a browser, Node and Python."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from playwright.async_api import Browser
from websockets.asyncio.client import connect

from tests.e2e.system import System
from tests.seeds.extract import code_block, code_blocks, seed_text

RUNNER = Path(__file__).parents[1] / "node" / "seed000.mjs"
ACCOUNT = {"login": "user@example.com", "password": "password123"}  # the seed's own
TIMEOUT_S = 30


def program(language: str, heading: str, url: str) -> str:
    """The seed's code, unchanged but for the hosts."""
    code = code_block(0, language, heading)
    for theirs, ours in (("https://api.localhost", url), ("ws://ws.localhost", url.replace("http", "ws", 1))):
        assert code.count(theirs) == 1
        code = code.replace(theirs, ours)
    return code


async def register(url: str) -> int:
    """The seed's user; its id."""
    async with httpx.AsyncClient() as http:
        registered = await http.post(f"{url}/register", json=ACCOUNT)
        assert registered.status_code == 201, registered.text
        return int(registered.json()["id"])


def check_hello(line: str, user_id: int) -> None:
    """The answer to the seed's greeting, as the code shows it."""
    shown, _, frame = line.partition(": ")
    assert shown == "Получено сообщение"
    answer: dict[str, Any] = orjson.loads(frame)
    assert answer.pop("client_id").replace(".", "").isdecimal()
    assert answer == {"type": "hello", "user_id": user_id, "authenticated": True, "message": "Привет, сервер!"}


async def show_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Somebody else's site, with an empty page."""
    await reader.readuntil(b"\r\n\r\n")
    page = b"<!doctype html><title>x</title>"
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(page)
    )
    writer.write(page)
    await writer.drain()
    writer.close()


async def test_seed_page_logs_in_cross_origin_and_gets_hello(chromium: Browser, system: System) -> None:
    user_id = await register(system.url)
    page = await chromium.new_page()
    said: asyncio.Queue[str] = asyncio.Queue()
    page.on("console", lambda message: said.put_nowait(message.text))

    async with await asyncio.start_server(show_page, "127.0.0.1", 0) as site, asyncio.timeout(TIMEOUT_S):
        await page.goto(f"http://localhost:{site.sockets[0].getsockname()[1]}/")
        await page.add_script_tag(content=program("javascript", "JavaScript", system.url))
        await page.evaluate("async () => { globalThis.socket = await connectWebSocket(); }")
        assert await said.get() == "WebSocket соединение установлено"
        check_hello(await said.get(), user_id)
        await page.evaluate("socket.close(1000, 'bye')")
        assert await said.get() == "Соединение закрыто корректно, код=1000 причина=bye"


async def test_seed_functions_run_in_node(system: System, tmp_path: Path) -> None:
    user_id = await register(system.url)
    source = tmp_path / "client.js"
    source.write_text(program("javascript", "JavaScript", system.url), encoding="utf-8")
    process = await asyncio.create_subprocess_exec("node", str(RUNNER), str(source), stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None and process.stdin is not None
    try:
        async with asyncio.timeout(TIMEOUT_S):
            assert orjson.loads(await process.stdout.readline()) == ["WebSocket соединение установлено"]
            check_hello(orjson.loads(await process.stdout.readline())[0], user_id)
            process.stdin.write(b"close\n")
            [closed] = orjson.loads(await process.stdout.readline())
            assert closed.startswith("Соединение закрыто корректно, код=1000")
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_seed_python_program_runs(system: System, tmp_path: Path) -> None:
    user_id = await register(system.url)
    source = tmp_path / "client.py"
    source.write_text(program("python", "Python", system.url), encoding="utf-8")
    environ = os.environ | {"NO_PROXY": "*", "PYTHONUTF8": "1"}
    process = await asyncio.create_subprocess_exec(sys.executable, str(source), stdout=PIPE, stderr=PIPE, env=environ)
    out, errors = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    assert process.returncode == 0, errors.decode()
    established, answer = out.decode().splitlines()
    assert established == "WebSocket соединение установлено"
    check_hello(answer, user_id)


@pytest.mark.parametrize("query", ["", "?token=nonsense", "?token="])
async def test_seed_urls_accept_anonymous_clients(system: System, query: str) -> None:
    # [anonymous, authorized], as the seed writes them
    patterns = [block.code.strip() for block in code_blocks(seed_text(0)) if block.language == ""]
    assert patterns == ["ws://ws.localhost/ws/{client_id}", "ws://ws.localhost/ws/{client_id}?token={jwt_token}"]
    url = patterns[0].replace("ws://ws.localhost", system.url.replace("http", "ws", 1)).format(client_id="любая строка")
    async with connect(url + query, proxy=None) as socket, asyncio.timeout(TIMEOUT_S):
        await socket.send('{"type":"hello","message":"Привет, сервер!"}')
        assert orjson.loads(await socket.recv()) == {
            "type": "hello",
            "client_id": "любая строка",
            "user_id": None,
            "authenticated": False,
            "message": "Привет, сервер!",
        }
