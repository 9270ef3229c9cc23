import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gateway.protocol.frames import NOT_DIRECT, binary_frame, payloads_in, text_frame, write_to_all


class _Sink:
    """Queues what the kernel does not take, if it `may_queue`."""

    def __init__(self, fd: int, *, may_queue: bool = True) -> None:
        self.fd = fd
        self.may_queue = may_queue
        self.queued: list[bytes] = []

    def queue(self, frames: bytes) -> bool:
        self.queued.append(frames)
        return self.may_queue


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets, of which the first never blocks."""
    with ExitStack() as stack:
        ours, theirs = map(stack.enter_context, socket.socketpair())
        ours.setblocking(False)
        yield ours, theirs


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\x00"),
        (125, b"\x7d"),
        (126, b"\x7e\x00\x7e"),
        (65535, b"\x7e\xff\xff"),
        (65536, b"\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_frame_has_the_shortest_length_field(size: int, header: bytes) -> None:
    payload = b"x" * size
    assert text_frame(payload) == b"\x81" + header + payload
    assert binary_frame(payload) == b"\x82" + header + payload


def test_payloads_are_read_from_frames_of_any_size() -> None:
    payloads = [b"x" * size for size in (0, 1, 125, 126, 65535, 65536)]
    assert list(payloads_in(b"".join(map(text_frame, payloads)))) == payloads
    assert list(payloads_in(b"")) == []


def test_write_goes_to_the_descriptor(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    sinks = [_Sink(ours.fileno()), _Sink(ours.fileno())]
    assert write_to_all(sinks, b"12345") == 2
    assert theirs.recv(100) == b"1234512345"
    assert [sink.queued for sink in sinks] == [[], []]


def test_write_queues_what_the_kernel_did_not_take(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    partial, full, frames = _Sink(ours.fileno()), _Sink(ours.fileno()), b"x" * 8_000_000
    assert write_to_all([partial, full], frames) == 2
    (rest,) = partial.queued
    assert 0 < len(rest) < len(frames)
    assert theirs.recv(10) == b"x" * 10
    assert full.queued == [frames]


def test_write_that_fails_is_queued(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.close()
    broken = _Sink(ours.fileno())
    assert write_to_all([broken], b"12345") == 1
    assert broken.queued == [b"12345"], "the transport behind it will find the connection lost"


def test_write_is_not_tried_unless_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.protocol.frames.write", lambda *_: pytest.fail("tried"))
    sink = _Sink(NOT_DIRECT)
    assert write_to_all([sink], b"12345") == 1
    assert sink.queued == [b"12345"]


def test_write_does_not_count_sinks_that_refuse() -> None:
    refusing, null = _Sink(NOT_DIRECT, may_queue=False), os.open(os.devnull, os.O_WRONLY)
    assert write_to_all([refusing, _Sink(null)], b"12345") == 1
    os.close(null)
