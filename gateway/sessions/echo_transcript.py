"""One echo session's transcript: every message is stored before it is processed further.

Invariants: `then` is called in the order of `keep`, and only after COMMIT. After a message that could not be stored, no
further message is processed, so that a transcript has no hole. A message beyond a limit of `echo_quota` is not stored,
nor any after it. The caller bounds the messages in progress: it checks `is_full` and waits for `settled`.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.interfaces.transcripts import Transcripts
from gateway.sessions.echo_quota import LINE_BYTES, Allowance
from storage.records import Direction, NewLine, Quota

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


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A message that waits for an answer of the limits."""

    message: Message
    directions: Sequence[Direction]
    then: Callable[[], None]

    @property
    def cost(self) -> int:
        return len(self.directions) * (len(self.message.payload) + LINE_BYTES)


class Conversation:
    """The messages of one session in both directions.

    Of `on_lost` and `on_exceeded` one is called once at most: when a message cannot be stored, or when a limit does not
    allow it and everything before it has been processed.
    """

    def __init__(
        self,
        transcripts: Transcripts,
        user_id: int,
        allowance: Allowance,
        on_lost: Callable[[], None],
        on_exceeded: Callable[[Quota], None],
    ) -> None:
        self.session_id = uuid.uuid4().hex
        self._transcripts = transcripts
        self._user_id = user_id
        self._allowance = allowance
        self._on_lost = on_lost
        self._on_exceeded = on_exceeded
        self._exceeded: Quota | None = None
        self._waiting = deque[_Waiting]()
        self._place = 0
        self._unstored = 0
        self._is_lost = False
        self._settled = asyncio.Event()
        self._settled.set()

    def keep(self, message: Message, *directions: Direction, then: Callable[[], None]) -> None:
        """Store a message as one line per direction, then call `then`; never blocks."""
        if self._is_lost or self._exceeded is not None:
            return
        waiting = _Waiting(message, directions, then)
        self._unstored += message.size
        self._settled.clear()
        if not self._waiting and self._allowance.take(waiting.cost):
            self._store(waiting)
            return
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            self._allowance.request(waiting.cost, self._on_allowed)

    def _on_allowed(self, exceeded: Quota | None) -> None:
        """The limits have answered the request for the first waiting message."""
        if exceeded is not None:
            self._exceeded = exceeded
            while self._waiting:
                self._finish(self._waiting.popleft().message)
            return
        while self._waiting and self._allowance.take(self._waiting[0].cost):
            self._store(self._waiting.popleft())
        if self._waiting:
            self._allowance.request(self._waiting[0].cost, self._on_allowed)

    def _store(self, waiting: _Waiting) -> None:
        lines = [self._line(waiting.message, direction) for direction in waiting.directions]

        def done(is_stored: bool) -> None:
            try:
                if is_stored and not self._is_lost:
                    waiting.then()
                elif not self._is_lost:
                    self._is_lost = True
                    self._on_lost()
            finally:
                self._finish(waiting.message)

        self._transcripts.submit(lines, done)

    def _finish(self, message: Message) -> None:
        self._unstored -= message.size
        if self._unstored:
            return
        self._settled.set()
        if self._exceeded is not None and not self._is_lost:
            self._on_exceeded(self._exceeded)

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
