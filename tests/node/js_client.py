"""Clients of `clients/js` in a process of Node or Deno, driven from Python."""

import asyncio
import itertools
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import orjson

DRIVER = Path(__file__).parent / "driver.mjs"
NODE: Final = ("node", str(DRIVER), "ws")
"""The Node of this machine, which may have no WebSocket of its own."""
_LINE_LIMIT = 16 * 1024 * 1024
_POLL_S = 0.05
_LIMIT_S = 120.0
"""Ends a hang."""


class JsError(Exception):
    """What an operation rejected with; `name` is the class, `code` that of the error."""

    def __init__(self, name: str, code: Any, message: str) -> None:
        super().__init__(f"{name} {code}: {message}")
        self.name = name
        self.code = code


class NodeProcess:
    """The process; it holds any number of clients."""

    def __init__(self, process: Process, on_event: Callable[[str, dict[str, Any]], None]) -> None:
        self._process = process
        self._numbers = itertools.count()
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._on_event = on_event

    async def call(self, operation: str, *parts: Any) -> Any:
        """The result of an operation of the driver.

        Raises: JsError.
        """
        assert self._process.stdin is not None
        number = next(self._numbers)
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(orjson.dumps({"id": number, "do": operation, "with": parts}) + b"\n")
        return await reply

    async def client(self, name: str, url: str, token: str | list[str | None] | None, **options: Any) -> "JsClient":
        """A new client; of a list of tokens its function returns one after the other, and fails at None."""
        await self.call("create", name, url, token, options)
        return JsClient(self, name)

    async def read(self) -> None:
        """Take what the process writes, until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = orjson.loads(line)
            if "event" in said:
                self._on_event(said["client"], said["event"])
                continue
            reply = self._replies.pop(said["id"])
            if reply.done():
                continue
            if "error" in said:
                reply.set_exception(JsError(**said["error"]))
            else:
                reply.set_result(said["result"])
        for reply in self._replies.values():
            reply.cancel()


class JsClient:
    """One client of the process."""

    def __init__(self, process: NodeProcess, name: str) -> None:
        self._process = process
        self._name = name

    async def do(self, operation: str, *parts: Any) -> Any:
        """An operation of the driver on this client.

        Raises: JsError.
        """
        return await self._process.call(operation, self._name, *parts)

    async def act(self, chat_id: int, method: str, *parts: Any) -> Any:
        """A method of one of its chats.

        Raises: JsError.
        """
        return await self.do("act", chat_id, method, *parts)

    async def open(self, chat_id: int, **options: Any) -> None:
        """Open a chat, and wait until it is live."""
        await self.do("open", chat_id, options)
        await self.chat_when(chat_id, lambda chat: chat["state"] == "live" and not chat["isLoading"])

    async def chat_when(self, chat_id: int, is_met: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The chat's public fields, once they meet the condition."""
        return await self.when("chat", is_met, chat_id)

    async def when(self, operation: str, is_met: Callable[[dict[str, Any]], Any], *parts: Any) -> dict[str, Any]:
        """What an operation returns, once it meets the condition."""
        found: dict[str, Any] = {}
        try:
            async with asyncio.timeout(_LIMIT_S):
                while not is_met(found := await self.do(operation, *parts)):
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise AssertionError(f"{self._name} stays at {found}") from None
        return found


@asynccontextmanager
async def node_process(
    on_event: Callable[[str, dict[str, Any]], None] = lambda *_: None, command: Sequence[str] = NODE
) -> AsyncIterator[NodeProcess]:
    """A process without clients; `command` runs the driver."""
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=_LINE_LIMIT)
    node = NodeProcess(process, on_event)
    reading = asyncio.create_task(node.read())
    try:
        yield node
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading
