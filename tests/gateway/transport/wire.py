"""A WebSocket client that can break every rule: raw frames over a TCP connection."""

import asyncio
import base64
import os
import socket
import struct
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, Self

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
TIMEOUT_S: Final = 30.0
MASK: Final = b"\x37\xfa\x21\x3d"


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    size: int | None = None,
    size_bytes: int | None = None,
) -> bytes:
    """One frame, masked as a client's must be. `size` is what the header says, in `size_bytes` (0, 2 or 8)."""
    size = len(payload) if size is None else size
    if size_bytes is None:
        size_bytes = 0 if size < 126 else 2 if size < 65536 else 8
    short = {0: size, 2: 126, 8: 127}[size_bytes]
    head = bytes([fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | short]) + size.to_bytes(8)[8 - size_bytes :]
    if mask is None:
        return head + payload
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    masked = int.from_bytes(payload) ^ int.from_bytes(key)
    return head + mask + masked.to_bytes(len(payload))


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    """A client's CLOSE frame; no payload without a code."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


@dataclass(frozen=True)
class Received:
    """A frame that the server sent."""

    opcode: int
    payload: bytes

    @property
    def code(self) -> int | None:
        """A CLOSE frame's code; None if it has none."""
        return struct.unpack("!H", self.payload[:2])[0] if self.payload else None


class RawClient:
    """One connection. What the server sends is checked: no mask, no reserved bits, whole frames, minimal lengths."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, *, receive_buffer: int | None = None) -> Self:
        """A TCP connection; a small receive buffer makes a peer that is soon full."""
        # asyncio sets TCP_NODELAY only where it sees that the protocol is TCP; else each second write waits 40 ms.
        sock = socket.socket(proto=socket.IPPROTO_TCP)
        try:
            if receive_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            # The reader takes little from the kernel by itself, so that who does not read does not read.
            return cls(*await asyncio.open_connection(sock=sock, limit=4096))
        except BaseException:  # an open socket would fail a later test
            sock.close()
            raise

    @classmethod
    async def open(
        cls, port: int, path: str = "/", *headers: str, receive_buffer: int | None = None, host: str = "127.0.0.1"
    ) -> Self:
        """A connection after a successful handshake."""
        client = await cls.connect(port, receive_buffer=receive_buffer)
        async with AsyncExitStack() as on_failure:
            await on_failure.enter_async_context(client)
            await client.send(handshake(path, *headers, host=f"{host}:{port}"))
            answer = await client.answer()
            assert answer.startswith(b"HTTP/1.1 101 "), answer
            on_failure.pop_all()
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    async def send(self, *pieces: bytes) -> None:
        """Write each piece by itself. Raises: ConnectionError, TimeoutError."""
        async with asyncio.timeout(TIMEOUT_S):
            for piece in pieces:
                if self.writer.transport.is_closing():  # uvloop would raise RuntimeError
                    raise ConnectionResetError("the connection is gone")
                self.writer.write(piece)
                await self.writer.drain()

    async def answer(self) -> bytes:
        """The head of the HTTP answer."""
        async with asyncio.timeout(TIMEOUT_S):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def read(self) -> Received | None:
        """The next frame; None at the end of the stream. Raises: ConnectionResetError, TimeoutError."""
        async with asyncio.timeout(TIMEOUT_S):
            head = await self.reader.read(1)
            if not head:
                return None
            head += await self.reader.readexactly(1)
            assert head[0] & 0xF0 == 0x80, "a fragment, or reserved bits"
            assert head[1] < 0x80, "masked"
            size, least = head[1], 0
            if size >= 126:
                size_bytes, least = (2, 126) if size == 126 else (8, 65536)
                size = int.from_bytes(await self.reader.readexactly(size_bytes))
            assert size >= least, "a length that is not minimal"
            return Received(head[0] & 0x0F, await self.reader.readexactly(size))

    async def read_all(self) -> list[Received]:
        """Every frame up to the end of the stream."""
        frames = []
        while (received := await self.read()) is not None:
            frames.append(received)
        return frames

    async def ended(self) -> None:
        """Return once the server has ended or reset the connection, whatever it sends before."""
        async with asyncio.timeout(TIMEOUT_S):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionResetError:
                pass


def handshake(path: str = "/", *headers: str, host: str = "127.0.0.1") -> bytes:
    """A valid request, with more headers if given."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()
