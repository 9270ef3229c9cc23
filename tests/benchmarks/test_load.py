"""The load program in C with the C limit: correct counts at low cost."""

import shutil
from pathlib import Path

import pytest

from benchmarks.fanout import Contender, measure
from benchmarks.load import Load, LoadFailed, Socket, handshake, masked_frame
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
    found = measure(Contender("limit", limit.room), tmp_path / "limit", subscribers=100, runs=2, seconds=0.1)
    assert 0 < found.burst_us.median < found.singly_us.median < 1000
    assert len(found.burst_rate.runs) == 2
    assert 0 <= found.load <= 1.5
