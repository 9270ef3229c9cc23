"""The load program in C with the C limit: correct counts at low cost."""

import shutil
import socket
import threading
from pathlib import Path

import pytest

from benchmarks.fanout import Contender, measure
from benchmarks.load import Lines, Load, LoadFailed, Socket, handshake, masked_frame
from benchmarks.peers import limit
from tests.support.servers import free_port

pytestmark = pytest.mark.skipif(shutil.which("cc") is None and shutil.which("gcc") is None, reason="no C compiler")


def test_every_delivery_to_every_socket_is_counted(tmp_path: Path) -> None:
    with limit.room(tmp_path, 50) as room, Load(room.sockets, tmp_path) as load:
        opened = load.open()
        assert (opened.count, opened.failed) == (50, 0)
        room.publish(3, load)
        load.until(150)
        assert load.frames() == 150


def test_refused_sockets_are_counted(tmp_path: Path) -> None:
    port = free_port()
    with Load([Socket(port, handshake(port, "/"))], tmp_path) as load:
        assert load.open().failed == 1


def test_refused_socket_retries(tmp_path: Path) -> None:
    port = free_port()
    with Load([Socket(port, handshake(port, "/"))], tmp_path) as load:
        opened = load.open(retry_s=1.2)
        assert opened.count == 0
        assert 2 <= opened.failed <= 4


def test_unacknowledged_writer_is_no_success(tmp_path: Path) -> None:
    with limit.room(tmp_path, 1) as room:
        socket = Socket(room.sockets[0].port, room.sockets[0].request, is_writer=True)
        with Load([socket], tmp_path, message=masked_frame(b"hello")) as load:
            load.open()
            written = load.write(0.1, 1)
            assert (written.acked, written.delivered) == (0, 0)


def test_ended_load_raises_load_failed(tmp_path: Path) -> None:
    with Load([], tmp_path) as load:
        load.shut()
        with pytest.raises(LoadFailed):
            load._ask("nonsense", "sense")


def test_fan_out_is_measured_per_delivery(tmp_path: Path) -> None:
    twice = [Contender("limit", limit.room), Contender("again", limit.room)]
    found = measure(twice, tmp_path / "limit", subscribers=100, runs=2, seconds=0.1)
    assert [one.name for one in found] == ["limit", "again"]
    for one in found:
        assert 0 < one.burst_us.median < one.singly_us.median < 1000
        assert len(one.burst_rate.runs) == 2
        assert 0 <= one.load <= 1.5


class LineServer(threading.Thread):
    """One client of Centrifugo's protocol: it may connect the second time, and a publish command gets these frames."""

    REJECTED = b'{"id":1,"connect":{}}\n{"id":2,"error":{"code":103}}'
    ACCEPTED = b'{"id":1,"connect":{}}\n{"id":2,"subscribe":{}}'
    FIRST = b'{"push":{"channel":"a","pub":{}}}\n{}\n{"id":3,"publish":{}}\n'
    SECOND = b'{"id":3,"error":{"code":100}}'

    def __init__(self, *replies: bytes) -> None:
        super().__init__()
        self._replies = replies
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.got = b""

    def run(self) -> None:
        """Serve, until the client of the second connection is gone."""
        for greeting in (self.REJECTED, self.ACCEPTED):
            connection, _ = self._listening.accept()
            with connection:
                while b"\r\n\r\n" not in connection.recv(65536):
                    pass
                connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
                self._send(connection, greeting)
                while more := connection.recv(65536):
                    if b"publish" in more:
                        self._send(connection, *self._replies)
                    self.got += more
        self._listening.close()

    @staticmethod
    def _send(connection: socket.socket, *payloads: bytes) -> None:
        for byte in b"".join(bytes([0x81, len(one)]) + one for one in payloads):  # in pieces, as a network may
            connection.sendall(bytes([byte]))


LINES = Lines('{"id":3,"publish":', '{"id":2,"subscribe":')


def _writer(server: LineServer) -> Socket:
    hello, message = masked_frame(b"connect"), masked_frame(b"publish")
    return Socket(server.port, handshake(server.port, "/"), is_writer=True, hello=hello, message=message)


def test_latency_at_a_rate_counts_from_when_a_message_is_due(tmp_path: Path) -> None:
    server = LineServer(LineServer.FIRST)
    server.start()
    with Load([_writer(server)], tmp_path, prefix='{"push":', lines=LINES) as load:
        load.open(retry_s=10)
        written = load.write(3, 1, rate=2)
        assert written.acked == 5
        assert written.ack.p50 < 500  # ms; an interval more if it counts from the one before
        load.shut()
    server.join()


def test_lines_of_a_frame_are_counted_each(tmp_path: Path) -> None:
    server = LineServer(LineServer.FIRST, LineServer.SECOND)
    server.start()
    with Load([_writer(server)], tmp_path, prefix='{"push":', lines=LINES) as load:
        opened = load.open(retry_s=10)
        assert (opened.count, opened.failed) == (1, 1)
        written = load.write(0.1, 1)
        assert written.acked > 0
        assert written.errors > 0
        assert load.frames() >= written.acked  # each came before its acknowledgement
        load.shut()
    server.join()
    assert server.got.count(b"connect") == 2
    assert masked_frame(b"{}") in server.got  # the pong
