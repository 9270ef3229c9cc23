"""The frames of one WebSocket, through gateway/transport on a transport that records, with three applications."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence, Set
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from gateway.interfaces.connection import CONNECTION
from gateway.server.serve import MAX_FRAME_BYTES
from gateway.transport.fragments import MAX_FRAGMENTS
from gateway.transport.http_protocol import HttpProtocol
from gateway.transport.phase import Phase
from gateway.transport.websocket_protocol import WebSocketProtocol
from tests.fuzz.case import Case, OpenTarget
from tests.fuzz.targets.frame_grammar import reads
from tests.fuzz.targets.frame_model import NO_CODE, OPEN, Expected, Model
from tests.gateway.transport.wire import BINARY, CLOSE, PONG, TEXT, handshake
from tests.support.recorded_transport import Transport, settle
from tests.support.socket_phases import check as check_flags
from tests.support.transport_server import Listener, echo

MAX_TURNS: Final = 20_000
"""Turns of the event loop until a socket has handled what it was given."""
_REQUEST: Final = handshake()


class Frames:
    """A socket whose application echoes every message at once."""

    name = "frames"
    cpu_s = 2.0

    def __init__(self) -> None:
        self._config = uvicorn.Config(
            self._app,
            http=HttpProtocol,
            ws=WebSocketProtocol,
            ws_max_size=MAX_FRAME_BYTES,
            interface="asgi3",
            log_config=None,
        )
        self._config.load()
        self._state = ServerState()
        self._messages: list[tuple[bytes, bool]] = []
        self._listener: Listener | None = None

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        connection = scope["extensions"][CONNECTION]
        self._listener = Listener(connection, self._act)
        self._messages = self._listener.messages
        connection.attach(self._listener)

    def _act(self, listener: Listener, payload: bytes, is_text: bool) -> None:
        echo(listener, payload, is_text)

    def _may_stop_early(self, codes: Set[int]) -> bool:
        """Whether messages before such an end may be dropped."""
        return False

    def case(self, random: Random) -> Case:
        """The reads of one socket after its handshake."""
        return reads(random)

    async def check(self, case: Case) -> None:
        """What is delivered and sent is what the model says, however the input is cut."""
        expected = Model(b"".join(case), MAX_FRAME_BYTES, MAX_FRAGMENTS).run()
        transport = Transport()
        http = HttpProtocol(self._config, self._state, {})
        http.connection_made(transport)  # type: ignore[arg-type]
        http.data_received(_REQUEST)
        await settle()
        assert transport.take().startswith(b"HTTP/1.1 101 ")
        socket = transport.protocol
        try:
            socket._incoming.allowance = math.inf  # the rate of frames is tested elsewhere, and would take time
            await _feed(socket, transport, case)
            await settle()
            self._compare(transport, expected)
        finally:
            if socket.phase is not Phase.CLOSED:
                socket.connection_lost(None)
        check_flags(socket)
        if self._listener is not None:
            assert len(self._listener.closes) == 1, self._listener.closes

    def _compare(self, transport: Transport, expected: Expected) -> None:
        frames = list(_parsed(transport.take()))
        echoes = [(payload, opcode == TEXT) for opcode, payload in frames if opcode in (TEXT, BINARY)]
        wanted = expected.messages
        if self._may_stop_early(expected.codes):
            wanted = wanted[: len(self._messages)]
        assert self._messages == wanted, f"delivered {self._messages}, expected {expected.messages}"
        if self._may_stop_early(expected.codes):
            wanted = wanted[: len(echoes)]
        assert echoes == wanted, "not every message is sent back"
        _check_ending(frames, transport, expected)


class PausedFrames(Frames):
    """A socket whose session pauses at every message, for one or two turns of the event loop."""

    name = "paused-frames"

    def _act(self, listener: Listener, payload: bytes, is_text: bool) -> None:
        echo(listener, payload, is_text)
        listener.lane.pause_reading()
        loop = asyncio.get_running_loop()
        resume = listener.lane.resume_reading
        loop.call_soon(*((resume,) if is_text else (loop.call_soon, resume)))

    def _may_stop_early(self, codes: Set[int]) -> bool:
        """What is held when a frame is invalid is dropped."""
        return bool(codes & {1002, 1007, 1009})


class QueuedFrames(Frames):
    """A socket whose application receives and sends as ASGI says, as Starlette does."""

    name = "queued-frames"

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        self._messages = messages = []
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            text = event.get("text")
            message = (event.get("bytes") or b"", False) if text is None else (text.encode(), True)
            messages.append(message)
            await send({"type": "websocket.send", "text": text, "bytes": None if text is not None else message[0]})

    def _may_stop_early(self, codes: Set[int]) -> bool:
        """The application cannot send any more."""
        return codes != {OPEN}


async def _feed(socket: Any, transport: Transport, case: Case) -> None:
    """Deliver the reads as an event loop does: none while reading is paused, none after the end."""
    for read in case:
        await _until_read(socket, transport)
        if transport.is_closing():
            return
        socket.data_received(read)
        check_flags(socket)
        _check_memory(socket, len(read))
    await _until_read(socket, transport)


async def _until_read(socket: Any, transport: Transport) -> None:
    for _ in range(MAX_TURNS):
        if transport.is_read or transport.is_closing():
            return
        await asyncio.sleep(0)
        check_flags(socket)
    raise AssertionError("reading is never resumed")


def _check_memory(socket: Any, size: int) -> None:
    """One read, one frame and one message at most are kept."""
    kept = len(socket._incoming._unread) + len(socket._fragments._joined)
    if socket.conn is not None:
        kept += len(socket.conn.reader.buffer) + sum(map(len, socket.conn.writes))
    assert kept <= size + 2 * MAX_FRAME_BYTES + 100, f"{kept} bytes are kept after a read of {size}"


def _check_ending(frames: Sequence[tuple[int, bytes]], transport: Transport, expected: Expected) -> None:
    code = OPEN
    if CLOSE in [opcode for opcode, _ in frames]:
        opcode, payload = frames[-1]
        assert opcode == CLOSE, "a frame after the CLOSE"
        code = int.from_bytes(payload[:2]) if payload else NO_CODE
    pongs = [payload for opcode, payload in frames if opcode == PONG]
    if code == OPEN:
        assert pongs == expected.pongs, f"pongs {pongs}, expected {expected.pongs}"
    else:  # RFC 6455 §5.5.2: none is due once the peer has closed
        assert pongs == expected.pongs[: len(pongs)], f"pongs {pongs}, expected {expected.pongs}"
    assert code in expected.codes, f"closed with {code}, expected {sorted(expected.codes)}"
    assert (code == OPEN) == (not transport.ends), transport.ends


def _parsed(data: bytes) -> Sequence[tuple[int, bytes]]:
    """The server's frames: whole, unmasked, with minimal lengths."""
    frames, at = [], 0
    while at < len(data):
        first, size = data[at : at + 2]
        assert first & 0xF0 == 0x80 and size < 0x80, "a fragment, reserved bits or a mask"
        at += 2
        if size >= 126:
            width, least = (2, 126) if size == 126 else (8, 65536)
            size = int.from_bytes(data[at : at + width])
            assert size >= least, "a length that is not minimal"
            at += width
        payload = data[at : at + size]
        assert len(payload) == size, "half a frame"
        frames.append((first & 0x0F, payload))
        at += size
    return frames


def open_frames(target: type[Frames]) -> OpenTarget:
    """How to open one of the three targets."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Frames]:
        yield target()

    return opened
