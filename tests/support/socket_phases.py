"""Checks the table of `gateway.transport.phase` after every step of a socket."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from gateway.protocol.frames import NOT_DIRECT
from gateway.transport.direct_connection import DirectConnection
from gateway.transport.incoming import Incoming
from gateway.transport.phase import Phase
from gateway.transport.websocket_protocol import WebSocketProtocol

_STEPS = [
    "begin",
    "connection_made",
    "connection_lost",
    "data_received",
    "eof_received",
    "pause_writing",
    "resume_writing",
    "shutdown",
    "keepalive_timeout",
    "handshake_overdue",
    "receive",
    "send",
]
_STEPS_OF_PARTS: dict[type[Any], list[str]] = {
    Incoming: ["proceed", "refill"],
    DirectConnection: ["attach", "pause_reading", "resume_reading", "close"],
}
"""What asyncio, uvicorn, the application, the session and the timeouts call."""


def check(socket: Any) -> None:
    """Raises: AssertionError, if the socket's flags are not legal in its phase."""
    phase, incoming, queues = socket.phase, socket._incoming, socket._queues
    is_closing = socket.close_sent or socket._transport.is_closing()
    has_listener = socket._connection.listener is not None
    is_waiting = [socket in queues.openings._due, incoming in queues.turns._waiting, incoming in queues.slowed._due]
    pinged = [queue for queue in (queues.keepalive._pings, queues.keepalive._pongs) if queue and socket in queue._due]
    pauses = [incoming.is_paused, socket.read_paused]

    assert phase >= Phase.CLOSING or not socket.disconnected
    if phase is Phase.HANDSHAKE:
        assert not socket.handshake_complete
        assert not any(pauses) and not incoming.is_held and not has_listener and not pinged
    elif phase is Phase.OPEN:
        assert socket.handshake_complete and not is_closing
        assert socket._handshake is None and not is_waiting[0]
        assert not (has_listener and socket.read_paused)
    elif phase is Phase.CLOSING:
        assert is_closing
        assert not (socket.disconnected and (incoming.is_paused or incoming.is_held))
    else:
        assert socket.handshake_complete and socket.disconnected and not incoming.is_held
        assert not any(is_waiting) and not pinged and socket.close_timer is None
        assert socket._handshake is None and socket.writer._fd == NOT_DIRECT and socket.writer._outlet is None
        is_reported = socket._connection._is_close_reported or socket._connection in queues.losses._waiting
        assert is_reported or not has_listener
    assert phase >= Phase.CLOSING or not socket._connection._is_close_reported
    assert is_waiting[1] == (incoming.is_held and incoming.allowance > 0 and not any(pauses))
    assert is_waiting[2] == (incoming.is_held and incoming.allowance <= 0)
    assert incoming.is_held or not incoming._unread


class PhaseChecks:
    """Runs `check` after the outermost call of each step, and that no phase returns to an earlier one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failures: list[str] = []
        self.seen: set[Phase] = set()
        self._last: dict[Any, Phase] = {}
        self._depth = 0
        for name in _STEPS:
            step = getattr(WebSocketProtocol, name)
            wrapped = self._checked_later(step) if inspect.iscoroutinefunction(step) else self._checked(step)
            monkeypatch.setattr(WebSocketProtocol, name, wrapped)
        for part, names in _STEPS_OF_PARTS.items():
            for name in names:
                monkeypatch.setattr(part, name, self._checked(getattr(part, name)))

    def _checked(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def call(one: Any, *args: Any, **named: Any) -> Any:
            self._depth += 1
            try:
                return step(one, *args, **named)
            finally:
                self._depth -= 1
                self._check(one, step.__name__)

        return call

    def _checked_later(self, step: Callable[..., Any]) -> Callable[..., Any]:
        async def call(one: Any, *args: Any) -> Any:
            try:
                return await step(one, *args)
            finally:
                self._check(one, step.__name__)

        return call

    def _check(self, one: Any, step: str) -> None:
        if self._depth:
            return
        socket = one if isinstance(one, WebSocketProtocol) else one._socket
        if not isinstance(socket, WebSocketProtocol):
            return  # its loss was reported, and its parts refer to it no more
        before, phase = self._last.get(socket, Phase.HANDSHAKE), socket.phase
        self._last[socket] = phase
        self.seen.add(phase)
        try:
            assert phase >= before
            check(socket)
        except AssertionError as failure:
            self.failures.append(f"{before.name} → {step} → {phase.name}: {failure}")
