"""A proxy to a system on which all WebSockets fall silent while they stay open and HTTP continues."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

CHUNK_BYTES = 64 * 1024


@asynccontextmanager
async def muffled(port: int, *, after: int) -> AsyncIterator[str]:
    """The URL of the way to `port`; when so many messages have come down its WebSockets, nothing does any more."""
    way = _Way(port, after)
    server = await asyncio.start_server(way.lead, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in way.tasks:
            task.cancel()
        await asyncio.gather(*way.tasks)


class _Way:
    def __init__(self, port: int, after: int) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self._port = port
        self._left = after

    async def lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        from_system, to_system = await asyncio.open_connection("127.0.0.1", self._port)
        with (
            closing(writer),
            closing(to_system),
            suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError),
        ):
            head = await reader.readuntil(b"\r\n\r\n")
            to_system.write(head)
            down = self._muffle if b"Upgrade: websocket" in head else _pass_on
            await asyncio.gather(_pass_on(reader, to_system), down(from_system, writer))

    async def _muffle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            self._left -= chunk.count(b'"type":"message"')
            if self._left > 0:
                writer.write(chunk)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        writer.write(chunk)
    writer.write_eof()
