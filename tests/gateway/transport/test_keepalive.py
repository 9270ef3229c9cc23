"""Pings and the timeouts of pongs, with a socket that only records."""

from typing import Any

from gateway.transport.keepalive import Keepalive
from gateway.transport.phase import Phase
from tests.support.transport_server import until


class Socket:
    """Records the pings; `overdue` counts the pongs that did not come."""

    def __init__(self) -> None:
        self.pending_ping_payload: bytes | None = None
        self.phase = Phase.OPEN
        self.writer: Any = self
        self.pings: list[bytes] = []
        self.overdue = 0

    def send(self, frames: bytes) -> bool:
        self.pings.append(frames)
        return True

    def keepalive_timeout(self) -> None:
        self.overdue += 1


async def test_ping_without_pong_is_overdue_once() -> None:
    keepalive, socket = Keepalive(0.01, 0.01), Socket()
    keepalive.start(socket)
    assert socket.pings == []
    await until(lambda: socket.pings)
    assert socket.overdue == 0
    payload = socket.pending_ping_payload
    assert payload is not None and len(payload) == 4
    await until(lambda: socket.overdue)
    assert (socket.pings, socket.overdue) == ([b"\x89\x04" + payload], 1)


async def test_pong_of_last_ping_schedules_next() -> None:
    keepalive, socket = Keepalive(0.01, 60), Socket()
    keepalive.start(socket)
    for count in range(1, 4):
        await until(lambda: len(socket.pings) == count)  # noqa: B023  awaited here
        keepalive.on_pong(socket, b"other")
        assert socket.pending_ping_payload is not None
        assert (len(keepalive._pings or ()), len(keepalive._pongs or ())) == (0, 1)
        keepalive.on_pong(socket, socket.pending_ping_payload)
        keepalive.on_pong(socket, socket.pings[-1][2:])  # a second time
        assert socket.pending_ping_payload is None
        assert (len(keepalive._pings or ()), len(keepalive._pongs or ())) == (1, 0)
    keepalive.stop(socket)
    assert socket.overdue == 0
    assert len({*socket.pings}) == 3


async def test_pong_without_ping_is_ignored() -> None:
    keepalive, socket = Keepalive(60, 60), Socket()
    for payload in (b"", b"ping"):
        keepalive.on_pong(socket, payload)
    assert (len(keepalive._pings or ()), len(keepalive._pongs or ())) == (0, 0)


async def test_stop_ends_ping_and_pong() -> None:
    keepalive, socket = Keepalive(0.01, 60), Socket()
    keepalive.start(socket)
    await until(lambda: socket.pings)
    keepalive.start(socket)
    assert (len(keepalive._pings or ()), len(keepalive._pongs or ())) == (1, 1)
    keepalive.stop(socket)
    assert socket.pending_ping_payload is None
    assert (len(keepalive._pings or ()), len(keepalive._pongs or ())) == (0, 0)


async def test_socket_not_open_gets_no_ping() -> None:
    keepalive = Keepalive(0.01, 0.01)
    sockets = [Socket() for _ in Phase]
    for phase, socket in zip(Phase, sockets, strict=True):
        socket.phase = phase
        keepalive.start(socket)
    await until(lambda: len(keepalive._pings or ()) == 0)
    assert [len(socket.pings) for socket in sockets] == [0, 1, 0, 0]
    assert [socket.pending_ping_payload is None for socket in sockets] == [True, False, True, True]
    keepalive.stop(sockets[1])


async def test_no_pong_timeout_pings_go_on() -> None:
    keepalive, socket = Keepalive(0.01, None), Socket()
    keepalive.start(socket)
    await until(lambda: len(socket.pings) == 3)
    keepalive.expect_pong(socket)
    keepalive.stop(socket)
    assert len(keepalive._pings or ()) == 0


async def test_no_interval_sends_no_ping() -> None:
    keepalive, socket = Keepalive(None, 0.01), Socket()
    keepalive.start(socket)
    keepalive.stop(socket)
    assert keepalive._pings is None
    keepalive.expect_pong(socket)
    await until(lambda: socket.overdue)
    assert socket.pings == []
