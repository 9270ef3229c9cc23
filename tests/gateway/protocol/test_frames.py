import pytest

from gateway.protocol.frames import REFUSED, binary_frame, payloads_in, text_frame, write_to_all


class _Sink:
    """Accepts `room` bytes at once (None: raises BlockingIOError), and queues the others if it `may_queue`."""

    def __init__(self, room: int | None, *, may_queue: bool = True) -> None:
        self.room = room
        self.may_queue = may_queue
        self.written = b""
        self.queued: list[bytes] = []
        self.write = self._write

    def _write(self, frames: bytes) -> int:
        if self.room is None:
            raise BlockingIOError
        if self.room >= 0:
            self.written += frames[: self.room]
        return min(self.room, len(frames))

    def queue(self, frames: bytes) -> int:
        self.queued.append(frames)
        return len(frames) if self.may_queue else REFUSED


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


def test_write_counts_sinks_that_accept_everything() -> None:
    sinks = [_Sink(100), _Sink(5)]
    assert write_to_all(sinks, b"12345") == 2
    assert [(sink.written, sink.queued) for sink in sinks] == [(b"12345", []), (b"12345", [])]


def test_write_queues_what_the_socket_did_not_take() -> None:
    partial, full = _Sink(2), _Sink(None)
    assert write_to_all([partial, full], b"12345") == 2
    assert (partial.written, partial.queued) == (b"12", [b"345"])
    assert full.queued == [b"12345"]


def test_write_does_not_count_sinks_that_refuse() -> None:
    refusing, overfull, other = _Sink(REFUSED), _Sink(2, may_queue=False), _Sink(100)
    assert write_to_all([refusing, overfull, other], b"12345") == 1
    assert refusing.queued == [], "a sink that refused is closed"
