"""One echo session's transcript: every message is stored before it is processed further.

Invariants: `then` is called in the order of `keep`, and only after COMMIT. After a message that could not be stored, no
further message is processed, so that a transcript has no hole. The caller bounds the messages in progress: it checks
`is_full` and waits for `settled`.
"""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.interfaces.transcripts import Transcripts
from storage.records import Direction, NewLine

WINDOW_BYTES: Final = 256 * 1024
"""Bytes that one session may have in progress; a message counts its payload and MESSAGE_BYTES."""
MESSAGE_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class Message:
    """A WebSocket message; the payload of a text message is UTF-8."""

    payload: bytes
    is_text: bool

    @property
    def size(self) -> int:
        """Bytes that it counts against queue bounds."""
        return len(self.payload) + MESSAGE_BYTES


class Conversation:
    """The messages of one session in both directions. `on_lost` is called once, when a message cannot be stored."""

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
        """Store a message as one line per direction, then call `then`; never blocks."""
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
        """Whether to accept no more messages until `settled`."""
        return self._unstored > WINDOW_BYTES or (self._unstored > 0 and self._transcripts.is_busy)

    async def settled(self) -> None:
        """Wait until nothing is in progress, which takes at most about ten seconds."""
        await self._settled.wait()

    def _line(self, message: Message, direction: Direction) -> NewLine:
        self._place += 1
        return NewLine(self._user_id, self.session_id, self._place, direction, message.payload, message.is_text)
