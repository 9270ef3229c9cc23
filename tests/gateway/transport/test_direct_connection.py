"""The direct connection with a socket that records: the order of deliveries, the session's pause, and the reports."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from gateway.interfaces.connection import DECODED_BYTES_PER_COST, NO_LIMIT
from gateway.transport.direct_connection import DirectConnection
from gateway.transport.phase import Phase


@pytest.fixture(autouse=True)
def phase_checks() -> None:
    """Not here: this socket is not one of ours, and its phase is what the test sets."""


class Socket:
    """A socket, its writer and its input."""

    def __init__(self) -> None:
        self.phase = Phase.OPEN
        self.close_sent = False
        self.writable = asyncio.Event()
        self.queued: list[tuple[bytes, bool]] = []
        self.calls: list[Any] = []
        self.is_paused = False
        self.has_room = True
        writer: Any = self
        incoming: Any = self
        self.connection = DirectConnection(self, writer, incoming)

    def take_queued(self, bytes_per_cost: int) -> list[tuple[bytes, bool]]:
        self.calls.append(bytes_per_cost)
        return self.queued

    def start_close(self, code: int, reason: str = "") -> None:
        self.calls.append((code, reason))

    def close_code(self) -> int:
        return 4000

    def serve(self, outlet: Any) -> None:
        self.calls.append(outlet)

    def release(self, lost: Any) -> None:
        self.calls.append("release")

    def send(self, frames: bytes, limit: int) -> bool:
        self.calls.append((frames, limit))
        return self.has_room

    def get_write_buffer_size(self) -> int:
        return 17

    def pause(self) -> None:
        assert not self.is_paused
        self.is_paused = True
        self.calls.append("pause")

    def resume_if_free(self) -> None:
        self.calls.append("resume")


class Listener:
    """Records; calls `act` with each message."""

    def __init__(self, act: Callable[[bytes], object] = len) -> None:
        self.act = act
        self.messages: list[tuple[bytes, bool]] = []
        self.closes: list[int] = []

    def on_message(self, payload: bytes, is_text: bool) -> None:
        self.messages.append((payload, is_text))
        self.act(payload)

    def on_closed(self, code: int) -> None:
        self.closes.append(code)
        self.act(b"")


@pytest.fixture
def socket() -> Socket:
    return Socket()


def test_attach_delivers_queued_messages_in_order(socket: Socket) -> None:
    socket.queued = [(b"0", True), (b"1", False)]
    listener = Listener()
    socket.connection.attach(listener, 7)
    assert (listener.messages, listener.closes) == ([(b"0", True), (b"1", False)], [])
    assert socket.connection.listener is listener
    assert socket.calls == [7]


def test_attach_default_cost_is_that_of_decoded_bytes(socket: Socket) -> None:
    socket.connection.attach(Listener())
    assert socket.calls == [DECODED_BYTES_PER_COST]


@pytest.mark.parametrize(("phase", "closes"), [(Phase.OPEN, []), (Phase.CLOSING, []), (Phase.CLOSED, [4000])])
def test_attach_to_lost_socket_reports_close(socket: Socket, phase: Phase, closes: list[int]) -> None:
    socket.phase = phase
    listener = Listener()
    socket.connection.attach(listener)
    assert listener.closes == closes


def test_write_passes_limit_and_result(socket: Socket) -> None:
    assert socket.connection.write(b"1") is True
    socket.has_room = False
    assert socket.connection.write(b"2", 5) is False
    assert socket.calls == [(b"1", NO_LIMIT), (b"2", 5)]


def test_write_after_close_is_discarded_as_written(socket: Socket) -> None:
    socket.close_sent = True
    assert socket.connection.write(b"1", 0) is True
    assert socket.calls == []


def test_serve_and_buffered_are_the_writers(socket: Socket) -> None:
    outlet: Any = object()
    socket.connection.serve(outlet)
    assert socket.calls == [outlet]
    assert socket.connection.buffered == 17


@pytest.mark.parametrize("phase", Phase)
async def test_drained_waits_and_is_false_once_closing(socket: Socket, phase: Phase) -> None:
    waiting = asyncio.create_task(socket.connection.drained())
    await asyncio.sleep(0)
    assert not waiting.done()
    socket.phase = phase
    socket.writable.set()
    assert await waiting is (phase in (Phase.HANDSHAKE, Phase.OPEN))


@pytest.mark.parametrize("phase", Phase)
def test_pause_reading_once_until_closing(socket: Socket, phase: Phase) -> None:
    socket.phase = phase
    socket.connection.pause_reading()
    socket.connection.pause_reading()
    assert socket.calls == (["pause"] if phase < Phase.CLOSING else [])


def test_resume_not_paused_does_nothing(socket: Socket) -> None:
    socket.connection.resume_reading()
    assert socket.calls == []


def test_resume_delivers_held_until_next_pause(socket: Socket) -> None:
    listener = Listener(lambda payload: payload == b"1" and socket.connection.pause_reading())
    socket.connection.attach(listener)
    socket.calls.clear()
    socket.connection.pause_reading()
    assert [socket.connection.take(payload, True) for payload in (b"0", b"1", b"2")] == [True] * 3
    assert listener.messages == []
    socket.connection.resume_reading()
    assert listener.messages == [(b"0", True), (b"1", True)]
    assert (socket.is_paused, socket.calls) == (True, ["pause", "pause", "resume"])
    socket.connection.resume_reading()
    assert listener.messages[2:] == [(b"2", True)]
    assert (socket.is_paused, socket.calls[3:]) == (False, ["resume"])
    assert socket.connection.take(b"3", False)
    assert listener.messages[3:] == [(b"3", False)]


def test_message_without_listener_is_not_taken(socket: Socket) -> None:
    assert not socket.connection.take(b"0", True)
    socket.is_paused = True
    assert not socket.connection.take(b"0", True)
    listener = Listener()
    socket.connection.attach(listener)
    socket.connection.resume_reading()
    socket.connection.deliver_held()
    assert listener.messages == []


def test_peer_close_delivers_held_though_paused(socket: Socket) -> None:
    listener = Listener()
    socket.connection.attach(listener)
    socket.connection.pause_reading()
    for payload in (b"0", b"1"):
        socket.connection.take(payload, False)
    socket.connection.deliver_held()
    socket.connection.deliver_held()
    assert listener.messages == [(b"0", False), (b"1", False)]


def test_dropped_messages_are_never_delivered(socket: Socket) -> None:
    listener = Listener()
    socket.connection.attach(listener)
    socket.connection.pause_reading()
    socket.connection.take(b"0", True)
    socket.connection.drop_held()
    socket.connection.resume_reading()
    socket.connection.deliver_held()
    assert listener.messages == []


def test_close_passes_code_and_reason(socket: Socket) -> None:
    socket.connection.close(4001, "why")
    socket.connection.close(4002)
    assert socket.calls == [(4001, "why"), (4002, "")]


@pytest.mark.parametrize("phase", Phase)
def test_when_closed_is_false_if_already_lost(socket: Socket, phase: Phase) -> None:
    socket.phase = phase
    codes: list[int] = []
    assert socket.connection.when_closed(codes.append) is (phase is not Phase.CLOSED)
    assert codes == []


def test_loss_calls_last_function_and_listener_once(socket: Socket) -> None:
    first, last, listener = list[int](), list[int](), Listener()
    socket.connection.attach(listener)
    socket.connection.when_closed(first.append)
    socket.connection.when_closed(last.append)
    socket.connection.report_closed()
    socket.connection.report_lost()
    assert (first, last, listener.closes) == ([], [4000], [4000])


def test_loss_without_function_or_listener_is_silent(socket: Socket) -> None:
    codes: list[int] = []
    socket.connection.when_closed(codes.append)
    socket.connection.when_closed(None)
    socket.connection.report_lost()
    assert codes == []
    listener = Listener()
    socket.connection.attach(listener)
    socket.connection.report_lost()
    assert listener.closes == [4000]


async def test_connection_after_its_loss_keeps_no_socket(socket: Socket) -> None:
    listener, connection = Listener(), socket.connection
    connection.attach(listener)
    connection.report_lost()
    socket.phase, socket.calls = Phase.OPEN, []
    connection.report_closed()
    connection.close(4001)
    connection.pause_reading()
    connection.resume_reading()
    assert (connection.write(b"x"), await connection.drained(), connection.take(b"x", True)) == (True, False, False)
    assert not connection.when_closed(listener.closes.append)
    assert (connection.listener, listener.closes, listener.messages, socket.calls) == (None, [4000], [], [])


def fail(_: bytes) -> None:
    raise RuntimeError("a bug")


def test_failing_message_closes_with_1011(socket: Socket, caplog: pytest.LogCaptureFixture) -> None:
    socket.connection.attach(Listener(fail))
    socket.calls.clear()
    assert socket.connection.take(b"0", True)
    assert socket.calls == [(1011, "")]
    assert [(record.levelno, record.message) for record in caplog.records] == [(logging.ERROR, "message_failed")]


def test_failing_close_report_is_logged_once(socket: Socket, caplog: pytest.LogCaptureFixture) -> None:
    socket.connection.attach(Listener(fail))
    socket.connection.report_closed()
    socket.connection.report_closed()
    assert [(record.levelno, record.message) for record in caplog.records] == [(logging.ERROR, "close_failed")]
