"""Seed 004's client class in Node, with the token in the Authorization header."""

import asyncio
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from tests.seeds.chat_websocket import ChatWebSocket
from tests.seeds.extract import chat_websocket_class

RUNNER = Path(__file__).parent / "seed004.mjs"
_LINE_LIMIT = 1024 * 1024


class NodeChatWebSocket(ChatWebSocket):
    """The class in a Node process of its own."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process

    async def call(self, method: str, *arguments: object) -> None:
        """Call a method of the class."""
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps({"do": method, "with": arguments}) + b"\n")
        await self._process.stdin.drain()

    async def read_events(self) -> None:
        """Take what the process tells, until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = orjson.loads(line)
            await self.hear(told["event"], told["value"])


@asynccontextmanager
async def node_chat_websocket(ws_base: str, chat_id: int, token: str, folder: Path) -> AsyncIterator[NodeChatWebSocket]:
    """The seed's class, extracted now, pointed at `ws_base` (like `ws://127.0.0.1:8000`); not connected yet.

    `folder` takes the extracted file.
    """
    source = folder / "chat_websocket.js"
    source.write_text(chat_websocket_class(ws_base), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        "node", str(RUNNER), str(source), str(chat_id), token, stdin=PIPE, stdout=PIPE, limit=_LINE_LIMIT
    )
    client = NodeChatWebSocket(process)
    reading = asyncio.create_task(client.read_events())
    try:
        yield client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading
