"""The operator's hook, with configurable responses."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

OK = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


class HookServer:
    """`responses` are sent in their order, the last one repeatedly; None hangs. `calls` has the headers and bodies."""

    def __init__(self) -> None:
        self.responses: list[bytes | None] = [OK]
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mail"

    @property
    def mails(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.calls]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n"))}
            self.calls.append((headers, await reader.readexactly(int(headers["content-length"]))))
            response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
            if response is None:
                await reader.read()
            else:
                writer.write(response)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
            self._writers.discard(writer)

    async def mailed(self, count: int = 1) -> dict[str, Any]:
        """The latest mail, once there are so many."""
        async with asyncio.timeout(10):
            while len(self.calls) < count:
                await asyncio.sleep(0.01)
        return self.mails[-1]


@asynccontextmanager
async def run_hook_server() -> AsyncIterator[HookServer]:
    hook = HookServer()
    server = await asyncio.start_server(hook.serve, "127.0.0.1", 0)
    hook.port = server.sockets[0].getsockname()[1]
    try:
        yield hook
    finally:
        server.close()
        for writer in list(hook._writers):
            writer.close()
