"""Limits the input of one socket: a portion per turn of the event loop while others wait, and a rate over time.

Input beyond that waits: the rest of the current read here, everything after it in the kernel. A socket that has used up
its allowance is not read for SLOW_S. It is closed with 4429 when that has happened FLOOD_ROUNDS times with input left
over, unless it was within its rate for BURST / PER_SECOND seconds in between.

Three flags stop reading, which resumes when none of them is set:

| flag | set by | until |
|---|---|---|
| `is_paused` | the session | the session resumes |
| `read_paused` | uvicorn, where no listener is attached | the application has received the queued messages |
| `is_held` | this file | `turns` calls `proceed`; without an allowance, `slowed` calls `refill` first |

Keeps: a held socket without an allowance is in `slowed`; with one, and not paused, it is in `turns`; no other socket is
in either. A held socket is not read, so `_unread` is one read.
"""

from time import monotonic
from typing import Any, Final, Protocol

from gateway.transport.server_queues import SLOW_S, ServerQueues

LONG_READ_BYTES: Final = 8 * 1024
"""A longer read is not handled in the turn of the event loop that received it, but when `turns` gets to it."""
BURST: Final = 1000
"""The allowance of a socket at once: 1 for each frame, and 1 for each 2 KiB of JSON. A client that reconnects after
an outage subscribes to as many chats as a socket may have and sends its unsent messages: that is no flood."""
PER_SECOND: Final = 500
"""The allowance over time. A client that awaits each acknowledgement needs some 300 a second (docs/benchmarks)."""
FLOOD_ROUNDS: Final = round(10.0 / SLOW_S)
"""10 s during which the socket got its full rate and had more input."""


class LimitedSocket(Protocol):
    """The socket's side."""

    read_paused: bool
    disconnected: bool
    close_sent: bool

    def handle_input(self, data: bytes, at: int) -> int:
        """Handle the portion of a read that begins at `at`, take its cost off the allowance, and return its end."""
        ...

    def close_flood(self) -> None:
        """Close with 4429, and discard further input."""
        ...


class Incoming:
    """The input of one socket: its allowance, and what waits."""

    __slots__ = (
        "_at",
        "_flood_rounds",
        "_queues",
        "_refilled_at",
        "_socket",
        "_transport",
        "_unread",
        "allowance",
        "is_held",
        "is_paused",
    )

    def __init__(self, socket: LimitedSocket, transport: Any, queues: ServerQueues) -> None:
        self._socket, self._transport, self._queues = socket, transport, queues
        self.is_paused = False
        self.is_held = False
        self._unread, self._at = b"", 0
        """The read that is held, and the offset up to which it is handled."""
        self.allowance: float = BURST
        self._refilled_at = monotonic()
        self._flood_rounds = 0

    def handle(self, data: bytes, at: int) -> None:
        """Handle a read from `at`: a portion, and more while no other socket waits for its turn. The rest waits.

        So the messages that a client sends together are committed together, and delivered in one write per socket.
        """
        at = self._socket.handle_input(data, at)
        while at < len(data) and self._may_continue():
            at = self._socket.handle_input(data, at)
        if at < len(data) or self.allowance <= 0:
            self.hold_rest(data, at)

    def _may_continue(self) -> bool:
        if self.allowance <= 0 or self.is_paused or self._socket.read_paused or self._is_ended():
            return False
        return self._queues.turns.has_time()

    def _is_ended(self) -> bool:
        return self._socket.disconnected or self._transport.is_closing()

    def hold_rest(self, data: bytes, end: int) -> None:
        """Hold the rest of a read, after a portion that used up the allowance or was not the whole read."""
        if self._is_ended():
            return
        if self.allowance <= 0 and monotonic() - self._refilled_at >= SLOW_S:
            self._grant()
            if self.allowance > 0 and end == len(data):
                return
        self.is_held, self._unread, self._at = True, data, end
        self._transport.pause_reading()
        if self.allowance > 0:
            self._continue_later()
        else:
            self._queues.slowed.add(self)
            self._queues.limits.on_slowed()

    def hold(self, data: bytes) -> None:
        """Keep input that arrives while the socket is held: TLS had it buffered, or uvicorn resumed reading."""
        self._unread += data
        self._transport.pause_reading()

    def drop_unread(self) -> None:
        """Discard the held read, and leave both queues."""
        self.is_held, self._unread, self._at = False, b"", 0
        self._queues.turns.discard(self)
        self._queues.slowed.discard(self)

    def release(self, lost: LimitedSocket) -> None:
        """Refer to `lost` in place of the socket, whose connection is lost."""
        self._socket = lost

    def pause(self) -> None:
        """Read nothing until `resume`: the session asks for it."""
        self.is_paused = True
        self._transport.pause_reading()

    def end_pauses(self) -> None:
        """Discard the held read and end every pause, to discard what arrives until the peer closes."""
        self.drop_unread()
        self.is_paused = self._socket.read_paused = False
        self.resume_if_free()

    def resume_after_queueing(self) -> None:
        """Undo the pause that uvicorn makes after each message it queues."""
        if self._socket.read_paused:
            self._socket.read_paused = False
            self.resume_if_free()

    def resume_if_free(self) -> None:
        """Resume reading if none of the three flags is set any more."""
        if self.is_held:
            self._continue_later()
        elif not (self.is_paused or self._socket.read_paused or self._transport.is_closing()):
            self._transport.resume_reading()

    def keep_held(self) -> None:
        """Pause again after uvicorn has resumed reading, which knows only its own pause."""
        if self.is_held:
            self._transport.pause_reading()
            self._continue_later()

    def _continue_later(self) -> None:
        if self.allowance > 0 and not (self.is_paused or self._socket.read_paused):
            self._queues.turns.add(self)

    # --- called by `turns` and `slowed`

    def proceed(self) -> None:
        """Handle the next portion of the held read, and resume reading after the last one."""
        if self.is_paused or self._socket.read_paused:
            return  # the end of the pause calls `resume_if_free`
        data, at = self._unread, self._at
        self.drop_unread()
        if self._is_ended():
            return
        if at < len(data):
            self.handle(data, at)
        self.resume_if_free()

    def refill(self) -> None:
        """Renew the allowance after SLOW_S, or close a socket that floods."""
        self._grant()
        if self._at < len(self._unread):  # never true of a client that awaits each response, however fast it is
            self._flood_rounds += 1
        if self._flood_rounds >= FLOOD_ROUNDS and not self._socket.close_sent:
            self.drop_unread()
            self._queues.limits.on_flood()
            self._socket.close_flood()
        elif self.allowance > 0:
            self._continue_later()
        else:
            self._queues.slowed.add(self)

    def _grant(self) -> None:
        """Add to the allowance for the time since the last call."""
        now = monotonic()
        granted = min(BURST, PER_SECOND * (now - self._refilled_at))
        self._refilled_at = now
        self.allowance += granted
        if granted == BURST:
            self._flood_rounds = 0
