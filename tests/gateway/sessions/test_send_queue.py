"""The send queue of a client over a stand-in of its socket."""

from typing import Any

from gateway.interfaces.connection import NO_LIMIT
from gateway.sessions.send_queue import SendQueue


class Socket:
    """Accepts what fits into the limit."""

    def __init__(self, buffered: int) -> None:
        self.buffered = buffered
        self.written: list[tuple[bytes, int]] = []

    def serve(self, outlet: object) -> None: ...

    def write(self, frames: bytes, limit: int = NO_LIMIT) -> bool:
        self.written.append((frames, limit))
        return self.buffered + len(frames) <= limit


def queue_over(socket: Any) -> tuple[SendQueue, list[str]]:
    slow: list[str] = []
    return SendQueue(socket, lambda: slow.append("slow"), limit=8), slow


def test_empty_queue_takes_frames_beyond_its_limit() -> None:
    socket = Socket(buffered=0)
    queue, slow = queue_over(socket)
    assert queue.queue(b"12345678")
    assert queue.queue(b"123456789")
    assert socket.written == [(b"12345678", 8), (b"123456789", 8), (b"123456789", NO_LIMIT)]
    assert slow == []


def test_full_queue_is_slow_once() -> None:
    socket = Socket(buffered=1)
    queue, slow = queue_over(socket)
    assert [queue.queue(b"12345678"), queue.queue(b"1")] == [False, False]
    assert not queue.offer(b"1")
    assert (socket.written, slow) == ([(b"12345678", 8)], ["slow"])
