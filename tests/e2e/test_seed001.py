"""Seed 001's own client code, extracted from the seed, in Node: a master and a client over two replicas."""

import asyncio
import itertools
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from websockets.asyncio.client import connect

from tests.e2e.system import System
from tests.seeds.extract import code_block, code_blocks, seed_text

RUNNER = Path(__file__).parents[1] / "node" / "seed001.mjs"
PASSWORD = "a long enough passphrase"
TIMEOUT_S = 30
FAMILIES = pytest.mark.parametrize(("kind", "path"), [("service", "service-chats"), ("support", "support-chats")])


class SeedClient:
    """The seed's script in a Node process of its own; `heard` is what it wrote to its console."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.heard: list[list[Any]] = []

    async def next(self) -> list[Any]:
        """What it writes next."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), TIMEOUT_S)
        self.heard.append(orjson.loads(line))
        return self.heard[-1]

    async def send(self) -> None:
        """Run its part that sends a message."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"send\n")
        await self._process.stdin.drain()


@asynccontextmanager
async def seed_client(url: str, path: str, chat_id: int, token: str, folder: Path) -> AsyncIterator[SeedClient]:
    """The script, pointed at a replica, a chat and a token; `path` is where the seed has `service-chats`."""
    code = code_block(1, "javascript", "Использование на фронтенде")
    for theirs, ours in (
        ("ws://localhost:8000", url.replace("http", "ws", 1)),
        ("your_access_token", token),
        ("const chatId = 1;", f"const chatId = {chat_id};"),
        ("service-chats", path),
    ):
        assert code.count(theirs) == 1
        code = code.replace(theirs, ours)
    source = folder / f"{token[-12:]}.js"
    source.write_text(code, encoding="utf-8")
    process = await asyncio.create_subprocess_exec("node", str(RUNNER), str(source), stdin=PIPE, stdout=PIPE)
    try:
        yield SeedClient(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def enter(http: httpx.AsyncClient, login: str) -> tuple[int, str]:
    """A new user's id and token."""
    account = {"login": login, "password": PASSWORD}
    created = await http.post("/register", json=account)
    assert created.status_code == 201, created.text
    return created.json()["id"], (await http.post("/login", json=account)).json()["access_token"]


async def new_chat(http: httpx.AsyncClient, kind: str, token: str, login: str) -> int:
    """A chat between the owner of the token and the client `login`."""
    body = {"kind": kind, "members": [{"login": login, "role": "client"}]}
    answer = await http.post("/api/v1/chats", json=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def documented(place: int) -> dict[str, Any]:
    """The message as the client sends it (0), and as the server sends it (1)."""
    blocks = [block for block in code_blocks(seed_text(1)) if block.language == "json"]
    assert len(blocks) == 2
    fields: dict[str, Any] = orjson.loads(blocks[place].code)
    return fields


@FAMILIES
async def test_seed_script_chats_over_two_replicas(system: System, tmp_path: Path, kind: str, path: str) -> None:
    one, other = system.replica_urls[:2]
    async with httpx.AsyncClient(base_url=system.url) as http:
        (master_id, master_token), (client_id, client_token) = await enter(http, "master"), await enter(http, "client")
        chat_id = await new_chat(http, kind, master_token, "client")
    async with (
        seed_client(one, path, chat_id, master_token, tmp_path) as master,
        seed_client(other, path, chat_id, client_token, tmp_path) as client,
    ):
        assert await master.next() == await client.next() == ["Connected"]
        for speaker, listener, sender_id in ((master, client, master_id), (client, master, client_id)):
            await speaker.send()
            words, received = await listener.next()
            assert words == "Received:"
            pattern = documented(1)
            assert list(received)[: len(pattern)] == list(pattern)
            assert [type(received[key]) for key in pattern] == [type(value) for value in pattern.values()]
            assert len(received["created_at"]) == len(pattern["created_at"])
            assert (received["content"], received["sender_id"], received["chat_id"]) == ("Привет!", sender_id, chat_id)
        assert [len(side.heard) for side in (master, client)] == [2, 2]  # neither got its own


@FAMILIES
async def test_documented_message_with_cookie_reaches_all_but_sender(system: System, kind: str, path: str) -> None:
    async with httpx.AsyncClient(base_url=system.url) as http:
        (master_id, master_token), (_, client_token) = await enter(http, "master"), await enter(http, "client")
        chat_id = await new_chat(http, kind, master_token, "client")
    sockets = []
    for url, token in zip(system.replica_urls, (master_token, client_token), strict=False):
        ws_url = f"{url.replace('http', 'ws', 1)}/ws/{path}/{chat_id}"
        headers = {"Cookie": f"access_token={token}"}
        sockets.append(await connect(ws_url, additional_headers=headers, origin=url, proxy=None))
    master, client = sockets
    await master.send(orjson.dumps(documented(0)).decode())
    received = orjson.loads(await asyncio.wait_for(client.recv(), TIMEOUT_S))
    sent_at = received["created_at"]
    expected = documented(1) | {"sender_id": master_id, "chat_id": chat_id, "id": received["id"], "created_at": sent_at}
    assert dict(itertools.islice(received.items(), len(expected))) == expected
    for socket in sockets:
        await socket.send('{"type":"ping"}')
        assert await asyncio.wait_for(socket.recv(), TIMEOUT_S) == '{"type":"pong"}'  # and nothing came before it
        await socket.close()


async def test_non_member_is_rejected(system: System, tmp_path: Path) -> None:
    async with httpx.AsyncClient(base_url=system.url) as http:
        (_, master_token), _ = await enter(http, "master"), await enter(http, "client")
        _, stranger_token = await enter(http, "stranger")
        chat_id = await new_chat(http, "service", master_token, "client")
    async with seed_client(system.url, "service-chats", chat_id, stranger_token, tmp_path) as stranger:
        assert await stranger.next() == ["fault", "Error: Unexpected server response: 403"]
