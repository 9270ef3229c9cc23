"""One echo session's transcript: every message is stored before it goes on.

Keeps: `then` is called in the order of `keep`, and only after COMMIT; once a message could not be stored none goes on,
so that a transcript has no hole. What is under way is bounded by whoever asks `is_full` and waits for `settled`.
"""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.transcripts import Transcripts
from storage.records import Direction, NewLine

WINDOW_BYTES: Final = 256 * 1024
"""What one session may have under way; a message counts MESSAGE_BYTES more than its payload."""
MESSAGE_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class Message:
    """A WebSocket message. A text is UTF-8."""

    payload: bytes
    is_text: bool

    @property
    def size(self) -> int:
        """Bytes that it counts in a queue."""
        return len(self.payload) + MESSAGE_BYTES


class Conversation:
    """What one session says and is told. `on_lost` is called once, when something could not be stored."""

    def __init__(self, transcripts: Transcripts, user_id: int, on_lost: Callable[[], None]) -> None:
        self.session_id = uuid.uuid4().hex
        self._transcripts = transcripts
        self._user_id = user_id
        self._on_lost = on_lost
        self._place = 0
        self._unstored = 0
        self._is_lost = False
        self._settled = asyncio.Event()
        self._settled.set()

    def keep(self, message: Message, *directions: Direction, then: Callable[[], None]) -> None:
        """Store a message as a line in each of these directions, and then go on with it; never blocks."""
        if self._is_lost:
            return
        lines = [self._line(message, direction) for direction in directions]
        size = message.size
        self._unstored += size
        self._settled.clear()

        def done(is_stored: bool) -> None:
            self._unstored -= size
            if self._unstored == 0:
                self._settled.set()
            if is_stored and not self._is_lost:
                then()
            elif not self._is_lost:
                self._is_lost = True
                self._on_lost()

        self._transcripts.submit(lines, done)

    @property
    def is_full(self) -> bool:
        """Whether to take no more until it is settled."""
        return self._unstored > WINDOW_BYTES or (self._unstored > 0 and self._transcripts.is_busy)

    async def settled(self) -> None:
        """Return once nothing is under way, which is within about ten seconds."""
        await self._settled.wait()

    def _line(self, message: Message, direction: Direction) -> NewLine:
        self._place += 1
        return NewLine(self._user_id, self.session_id, self._place, direction, message.payload, message.is_text)
