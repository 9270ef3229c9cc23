"""The order of what is written directly and through the transport, with a transport that records."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.protocol import frames as protocol_frames
from gateway.protocol.frames import NOT_DIRECT, write_to_all
from gateway.transport import socket_writer
from gateway.transport.socket_writer import SocketWriter


class Kernel:
    """A transport and its socket; the kernel takes `room` bytes at once, and raises if that is None."""

    def __init__(self, is_tls: bool = False) -> None:
        self.is_tls = is_tls
        self.room: int | None = 1000
        self.direct: list[bytes] = []
        self.calls: list[Any] = []
        self.buffered = 0
        self.closing = False

    def get_extra_info(self, name: str) -> Any:
        return self.is_tls or None if name == "ssl_object" else self

    def fileno(self) -> int:
        return 7

    def take(self, fd: int, frames: bytes) -> int:
        assert fd == 7
        if self.room is None:
            raise BlockingIOError
        taken = frames[: self.room]
        self.direct.append(taken)
        return len(taken)

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return not self.is_tls

    def write(self, data: bytes) -> None:
        self.calls.append(data)
        self.buffered += len(data)

    def __getattr__(self, name: str) -> Callable[[], None]:
        return lambda: self.calls.append(name)


class Outlet:
    """Passes what is queued to the writer, as a send queue does."""

    def __init__(self, writer: SocketWriter) -> None:
        self.writer = writer
        self.fd = NOT_DIRECT
        writer.serve(self)

    def queue(self, frames: bytes) -> bool:
        return self.writer.send(frames)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    for module in (socket_writer, protocol_frames):
        monkeypatch.setattr(module, "write", kernel.take)
    return kernel


def test_send_empty_buffer_writes_directly(kernel: Kernel) -> None:
    writer = SocketWriter(kernel)
    assert writer.send(b"frame", limit=5)
    assert (kernel.direct, kernel.calls) == ([b"frame"], [])


@pytest.mark.parametrize(("room", "direct", "rest"), [(2, [b"fr"], b"ame"), (0, [b""], b"frame"), (None, [], b"frame")])
def test_send_full_kernel_buffers_the_rest(kernel: Kernel, room: int | None, direct: list[bytes], rest: bytes) -> None:
    writer = SocketWriter(kernel)
    outlet = Outlet(writer)
    kernel.room = room
    assert writer.send(b"frame")
    assert (kernel.direct, kernel.calls, writer.get_write_buffer_size()) == (direct, [rest], len(rest))
    kernel.room = 1000
    assert writer.send(b"next")
    assert (kernel.direct, kernel.calls) == (direct, [rest, b"next"])
    assert outlet.fd == NOT_DIRECT


async def test_what_is_held_leaves_with_the_next_frames_of_the_turn(kernel: Kernel) -> None:
    writer = SocketWriter(kernel)
    outlet = Outlet(writer)
    writer.hold(b"head")
    assert (kernel.direct, writer.get_write_buffer_size()) == ([], 4)
    assert write_to_all([outlet], b"1") == 1
    assert write_to_all([outlet], b"2") == 1
    await asyncio.sleep(0)
    assert (kernel.direct, kernel.calls) == ([b"head1", b"2"], [])
    writer.hold(b"alone")
    await asyncio.sleep(0)
    assert kernel.direct == [b"head1", b"2", b"alone"]


async def test_what_is_held_leaves_before_other_writes_and_the_close(kernel: Kernel) -> None:
    writer = SocketWriter(kernel)
    writer.hold(b"head")
    writer.write(b"more")
    writer.hold(b"last")
    writer.close()
    assert (kernel.direct, kernel.calls) == ([], [b"headmore", b"last", "close"])
    writer.hold(b"lost")
    writer.abort()
    writer.hold(b"lost")
    writer.release()
    await asyncio.sleep(0)
    assert (kernel.direct, kernel.calls) == ([], [b"headmore", b"last", "close", "abort"])


def test_send_beyond_limit_writes_nothing(kernel: Kernel) -> None:
    writer = SocketWriter(kernel)
    kernel.buffered = 3
    assert not writer.send(b"frame", limit=7)
    assert (kernel.direct, kernel.calls) == ([], [])
    assert writer.send(b"frame", limit=8)
    assert kernel.calls == [b"frame"]


def test_send_closing_writes_nothing(kernel: Kernel) -> None:
    writer = SocketWriter(kernel)
    kernel.closing = True
    assert writer.is_closing()
    assert writer.send(b"frame", limit=0)
    assert (kernel.direct, kernel.calls) == ([], [])


def test_send_tls_never_writes_directly(kernel: Kernel) -> None:
    kernel.is_tls = True
    writer = SocketWriter(kernel)
    outlet = Outlet(writer)
    assert writer.send(b"frame")
    assert (kernel.direct, kernel.calls, outlet.fd) == ([], [b"frame"], NOT_DIRECT)
    assert not writer.can_write_eof()


@pytest.mark.parametrize("name", ["write", "write_eof", "close", "abort"])
def test_outlet_after_write_or_close_is_queued(kernel: Kernel, name: str) -> None:
    writer = SocketWriter(kernel)
    outlet = Outlet(writer)
    assert write_to_all([outlet], b"1") == 1
    assert outlet.fd == 7
    getattr(writer, name)(*([b"2"] if name == "write" else []))
    assert outlet.fd == NOT_DIRECT
    assert kernel.calls == [b"2" if name == "write" else name]


@pytest.mark.parametrize("name", ["pause_reading", "resume_reading"])
def test_outlet_after_other_calls_stays_direct(kernel: Kernel, name: str) -> None:
    writer = SocketWriter(kernel)
    outlet = Outlet(writer)
    assert write_to_all([outlet], b"1") == 1
    getattr(writer, name)()
    assert writer.can_write_eof() and not writer.is_closing()
    assert outlet.fd == 7
    assert kernel.calls == [name]


def test_release_discards_frames(kernel: Kernel) -> None:
    writer = SocketWriter(kernel)
    outlet = Outlet(writer)
    assert write_to_all([outlet], b"1") == 1
    kernel.closing = True  # as a lost connection is
    writer.release()
    assert outlet.fd == NOT_DIRECT, "the descriptor will be reused"
    assert write_to_all([outlet], b"22") == 1
    writer.close()
    assert outlet.fd == NOT_DIRECT
    assert (kernel.direct, kernel.calls) == ([b"1"], ["close"])
    SocketWriter(kernel).release()
