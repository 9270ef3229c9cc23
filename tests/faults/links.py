"""A TCP link that can be made bad: a proxy in front of one port, which delays, throttles, stalls silently, or resets.

A stall is a silent one: no side is notified, connections stay open, sent bytes vanish into buffers, and new connections
are accepted and never answered. When it heals, everything arrives, late. `reset` is what a middlebox does that forgot.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

CHUNK_BYTES = 64 * 1024
_ABORTIVE = struct.pack("ii", 1, 0)  # SO_LINGER with 0 s: close means RST


@dataclass
class Way:
    """One direction of a link."""

    delay_s: float = 0.0
    bytes_per_s: float = 0.0
    """0 means as fast as it goes."""
    flows: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.flows.set()

    async def pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Pass on everything until the end of the stream, and the end too, as this way happens to be.

        `look` sees each chunk before it passes.
        """
        try:
            while chunk := await reader.read(CHUNK_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if self.bytes_per_s:
                    await asyncio.sleep(len(chunk) / self.bytes_per_s)
                await self.flows.wait()
                await look(chunk)
                if writer.is_closing():
                    return
                writer.write(chunk)
                await writer.drain()
            await self.flows.wait()
            if not writer.is_closing():
                writer.write_eof()
        except OSError:
            await self.flows.wait()
            _reset(writer)


class Link:
    """Listens on a port of its own and connects each connection on to `target_port`. Entered, it runs."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self.upward = Way()
        """From the client to the server."""
        self.downward = Way()
        self.ears = asyncio.Event()
        """Cleared, nothing comes down connections that have subscribed to anything in Redis; all else does."""
        self.ears.set()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Link":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def lead_to(self, target_port: int) -> None:
        """Connect new connections on to this port; those that are open stay where they are."""
        self._target_port = target_port

    def delay(self, seconds: float) -> None:
        """Make whatever passes wait, each way."""
        self.upward.delay_s = self.downward.delay_s = seconds

    def throttle(self, bytes_per_s: float) -> None:
        """Let no more than this pass a connection, each way."""
        self.upward.bytes_per_s = self.downward.bytes_per_s = bytes_per_s

    def stall(self, *ways: Way) -> None:
        """Pass nothing in these directions (default: both), without closing the connections."""
        for way in ways or (self.upward, self.downward):
            way.flows.clear()

    def heal(self) -> None:
        """Be a good link again; what was held passes now."""
        for way in (self.upward, self.downward):
            way.delay_s = way.bytes_per_s = 0.0
            way.flows.set()
        self.ears.set()

    def reset(self) -> None:
        """RST every connection, on both sides."""
        for writer in list(self._writers):
            _reset(writer)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._connect_on(reader, writer)
        except asyncio.CancelledError:
            pass  # we are being closed; asyncio's stream callback would log it
        finally:
            self._writers.discard(writer)
            writer.transport.abort()
            self._tasks.discard(task)

    async def _connect_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.upward.flows.wait()
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            _reset(writer)
            return
        self._writers.add(far_writer)
        is_ear = False

        async def note(chunk: bytes) -> None:
            nonlocal is_ear
            is_ear = is_ear or b"SUBSCRIBE" in chunk

        async def listen(_: bytes) -> None:
            if is_ear:
                await self.ears.wait()

        try:
            await asyncio.gather(
                self.upward.pump(reader, far_writer, note), self.downward.pump(far_reader, writer, listen)
            )
        finally:
            self._writers.discard(far_writer)
            far_writer.transport.abort()


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORTIVE)
        writer.transport.abort()
