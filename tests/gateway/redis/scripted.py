"""A scripted server with the Redis protocol, for behaviour that a real Redis does not show on demand."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import hiredis


class ScriptedRedis:
    """Confirms the commands of a new connection at once; SUBSCRIBE and UNSUBSCRIBE only when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []
        """SUBSCRIBE and UNSUBSCRIBE, channel by channel, in order."""
        self._confirmed = 0
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Cut everything."""
        assert self._server is not None
        self._server.close()
        if self._writer is not None:
            self._writer.transport.abort()

    def confirm(self, count: int = 1) -> None:
        """Confirm so many more of what was asked, in order."""
        assert self._writer is not None
        for verb, channel in self.asked[self._confirmed : self._confirmed + count]:
            self._writer.write(
                b"*3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n:1\r\n" % (len(verb), verb.encode(), len(channel), channel)
            )
        self._confirmed += count

    def publish(self, publications: Sequence[tuple[bytes, bytes]]) -> None:
        """Send these channels' payloads, in one write."""
        assert self._writer is not None
        self._writer.write(
            b"".join(
                b"*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(channel), channel, len(payload), payload)
                for channel, payload in publications
            )
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        commands = hiredis.Reader()
        while data := await reader.read(65536):
            commands.feed(data)
            while (words := commands.gets()) is not False:
                verb = words[0].decode().lower()
                if verb in ("subscribe", "unsubscribe"):
                    self.asked += [(verb, channel) for channel in words[1:]]
                else:
                    writer.write(b"+OK\r\n")


@asynccontextmanager
async def scripted_redis() -> AsyncIterator[ScriptedRedis]:
    """One for the time of a test."""
    server = ScriptedRedis()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
