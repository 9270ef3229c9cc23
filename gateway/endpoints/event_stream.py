"""An event stream (text/event-stream) in the place of a socket: a session's frames leave as events of an HTTP response.

Implements `gateway.interfaces.connection.Connection`. Its commands are those of the URL: the client can send none.
Frames wait unchanged and become events when the response takes them, so that a slow reader costs no more than one of a
WebSocket.

Keeps: a stream ends at most ABORT_S after the decision to close it, whatever its reader does; events are sent in the
order of the frames.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import orjson
from starlette.types import Receive, Send

from gateway.dialects.sse import event_of
from gateway.interfaces.connection import DECODED_BYTES_PER_COST, NO_LIMIT, ConnectionListener
from gateway.protocol.frames import FrameSink, payloads_in
from gateway.protocol.stream_positions import StreamPositions

COMMENT_S: Final = 15.0
"""A stream that has sent nothing for so long sends a comment, so that no proxy takes it for dead."""
ABORT_S: Final = 5.0
HIGH_WATER: Final = 64 * 1024
"""Replays wait while more bytes than these are pending."""
PORTION: Final = 32 * 1024
"""The size in bytes from which on events are handed to the response."""
RETRY_MS: Final = (500, 3000)
"""The range of the delay before a client reconnects that lost its node: spreads those of one node."""
_COMMENT: Final = b":\n\n"
_LOST: Final = 1006


class EventStream:
    """One response. `run` is called once by its request's task; all other methods return at once, but for `drained`."""

    def __init__(
        self,
        commands: Sequence[bytes],
        positions: StreamPositions,
        abort: Callable[[], None] = lambda: None,
        comment_s: float = COMMENT_S,
    ) -> None:
        self._commands = deque(commands)
        self._positions = positions
        self._abort = abort
        self._comment_s = comment_s
        self._listener: ConnectionListener | None = None
        self._is_paused = False
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._end: tuple[int, str] | None = None
        self._overdue: asyncio.TimerHandle | None = None
        self._is_lost = False

    # --- Connection

    def attach(self, listener: ConnectionListener, bytes_per_cost: int = DECODED_BYTES_PER_COST) -> None:
        """Deliver the commands of the URL."""
        self._listener = listener
        self._deliver()

    def serve(self, outlet: FrameSink) -> None:
        """Frames are always written by `write`: the kernel cannot take them."""

    def write(self, frames: bytes, limit: int = NO_LIMIT) -> bool:
        """Queue complete frames; False, and nothing is queued, if the queue would exceed `limit` bytes."""
        if self._end is not None or self._is_lost:
            return True
        if self._size + len(frames) > limit:
            return False
        self._frames.append(frames)
        self._size += len(frames)
        if self._size > HIGH_WATER:
            self._has_room.clear()
        self._wake.set()
        return True

    @property
    def buffered(self) -> int:
        """Bytes that the response has not taken yet."""
        return self._size

    async def drained(self) -> bool:
        """Wait until less than HIGH_WATER is pending; False if the stream is ending."""
        await self._has_room.wait()
        return self._end is None and not self._is_lost

    def pause_reading(self) -> None:
        """Deliver no command until `resume_reading`."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Deliver the other commands."""
        self._is_paused = False
        self._deliver()

    def close(self, code: int, reason: str = "") -> None:
        """End the response with an event that has the code; its reader is disconnected if that takes over ABORT_S."""
        if self._end is None and not self._is_lost:
            self._end = code, reason
            self._overdue = asyncio.get_running_loop().call_later(ABORT_S, self._cut)
            self._release()

    def when_closed(self, call: Callable[[int], None] | None) -> bool:
        """Not needed: the stream's own task waits for the client."""
        return not self._is_lost

    # --- the response

    async def run(self, send: Send, headers: Mapping[str, str]) -> None:
        """Send events until the session is closed or the client is gone, then report the end to the session."""
        try:
            lines = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": 200, "headers": lines})
            await self._send(send, b"retry: %d\n\n" % random.randrange(*RETRY_MS))  # noqa: S311 - spreads load
            while not self._is_lost:
                if self._frames:
                    await self._send_frames(send)
                elif self._end is not None:
                    await send({"type": "http.response.body", "body": farewell(*self._end), "more_body": False})
                    return
                else:
                    await self._wait(send)
        finally:
            self.lose()
            if self._overdue is not None:
                self._overdue.cancel()
            if self._listener is not None:
                self._listener.on_closed(_LOST if self._end is None else self._end[0])

    async def watch(self, receive: Receive) -> None:
        """Notice that the client is gone, until cancelled."""
        while (await receive())["type"] != "http.disconnect":
            pass  # the body of a GET
        self.lose()

    def lose(self) -> None:
        """The client is gone: send nothing more."""
        self._is_lost = True
        self._release()

    def _cut(self) -> None:
        self.lose()
        self._abort()

    def _release(self) -> None:
        self._wake.set()
        self._has_room.set()

    def _deliver(self) -> None:
        while self._commands and not self._is_paused and self._listener is not None:
            self._listener.on_message(self._commands.popleft(), True)

    async def _wait(self, send: Send) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(self._comment_s):
                await self._wake.wait()
        except TimeoutError:
            await self._send(send, _COMMENT)

    async def _send_frames(self, send: Send) -> None:
        """Send what is pending, up to about PORTION bytes of frames; an event is made just before it is sent."""
        events: list[bytes] = []
        size = taken = 0
        while self._frames and taken < PORTION:
            frames = self._frames.popleft()
            taken += len(frames)
            for payload in payloads_in(frames):
                events.append(event_of(payload, self._positions))
                size += len(events[-1])
                if size >= PORTION:
                    await self._send(send, b"".join(events))
                    events, size = [], 0
        if events:
            await self._send(send, b"".join(events))
        self._size -= taken
        if self._size <= HIGH_WATER:
            self._has_room.set()

    async def _send(self, send: Send, body: bytes) -> None:
        if not self._is_lost:
            await send({"type": "http.response.body", "body": body, "more_body": True})


def farewell(code: int, reason: str) -> bytes:
    """The last event: why the stream ends. After a code below 4400 the browser comes back after `retry`, in ms."""
    hint: object = None
    if reason.startswith("{"):
        hint = orjson.loads(reason).get("retry_after_ms")
    retry = b"retry: %d\n" % max(hint, 1) if isinstance(hint, int) else b""
    return b"%bevent: close\ndata: %b\n\n" % (retry, orjson.dumps({"code": code, "reason": reason}))
