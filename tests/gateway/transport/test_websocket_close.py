"""How one WebSocket closes: what it writes, how it ends its transport, what it reports. The transport records."""

import asyncio
from collections.abc import Callable

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from gateway.transport import server_queues
from gateway.transport.phase import Phase
from gateway.transport.websocket_protocol import ABORT_S
from tests.gateway.transport.wire import PING, PONG, TEXT, close, frame, handshake
from tests.support.recorded_transport import Peer, sent_close, settle

HI = frame(TEXT, b"hi")
UNOPENED = 1 << 30  # no file descriptor: a write to it fails

EVERY_WAY = pytest.mark.parametrize("headers", [[], ["Connection: Upgrade"]], ids=["plain", "other"])


async def test_peer_close_is_answered_and_reported(peer: Peer) -> None:
    await peer.open()
    peer.socket.data_received(frame(PING, b"p") + close(4321, b"why"))
    assert peer.transport.take() == frame(PONG, b"p", mask=None) + sent_close(4321, b"why")
    assert (peer.listener.closes, peer.transport.ends, peer.abort_s) == ([4321], ["close"], ABORT_S)


@pytest.mark.parametrize(
    ("sent", "answer", "code"), [(close(), b"\x88\x00", 1005), (close(1000), sent_close(1000), 1000)]
)
async def test_peer_close_within_fragments_is_answered(peer: Peer, sent: bytes, answer: bytes, code: int) -> None:
    await peer.open()
    peer.socket.data_received(frame(TEXT, b"part", fin=False))
    peer.socket.data_received(sent)
    assert peer.transport.take() == answer
    peer.socket.connection_lost(None)
    assert (peer.listener.messages, peer.listener.closes) == ([], [code])


async def test_bad_input_after_peer_close_is_ignored(peer: Peer) -> None:
    await peer.open()
    peer.socket.data_received(close(4000) + frame(TEXT, b"hi", size_bytes=2))
    assert (peer.transport.take(), peer.transport.ends) == (sent_close(4000), ["close"])
    assert (peer.listener.messages, peer.listener.closes) == ([], [4000])


async def test_peer_close_reaches_application(peer: Peer) -> None:
    await peer.open(attaches=False)
    peer.socket.data_received(close(4321, b"why"))
    assert await peer.queued() == [{"type": "websocket.disconnect", "code": 4321, "reason": "why"}]


async def test_server_close_waits_for_peer_and_ignores_input(peer: Peer) -> None:
    await peer.open()
    peer.lanes[0].pause_reading()
    peer.lanes[0].close(4001, "why")
    peer.lanes[0].close(4002, "again")
    assert peer.transport.take() == sent_close(4001, b"why")
    assert (peer.transport.ends, peer.transport.is_read, peer.abort_s) == ([], True, ABORT_S)
    assert (peer.pings, peer.socket.phase) == ((0, 0), Phase.CLOSING)
    peer.socket.data_received(HI + frame(PING, b"p"))
    peer.socket.data_received(frame(PING, b"q"))
    assert (peer.transport.take(), peer.listener.messages) == (b"", [])
    assert peer.socket.conn.data_to_send() == [], "its pongs take no memory"
    peer.socket.data_received(close(4001))
    assert (peer.transport.ends, peer.listener.closes) == (["close"], [4001])


async def test_application_close_drops_what_is_held(peer: Peer) -> None:
    await peer.open()
    peer.lanes[0].pause_reading()
    peer.socket.data_received(HI)
    await peer.socket.send({"type": "websocket.close", "code": 4001, "reason": "why"})
    assert (peer.transport.take(), peer.listener.messages) == (sent_close(4001, b"why"), [])
    assert (peer.transport.is_read, peer.abort_s) == (True, ABORT_S), "to receive the CLOSE of the peer"


async def test_close_before_accept_by_connection_is_ignored(peer: Peer) -> None:
    peer.answers, peer.attaches = [], False
    await peer.request()
    peer.lanes[0].close(4001)
    assert (peer.transport.take(), peer.socket.phase) == (b"", Phase.HANDSHAKE)


@pytest.mark.parametrize(
    ("sent", "code", "reason"),
    [
        (frame(TEXT, b"\xff"), 1007, b"invalid UTF-8"),
        (frame(TEXT, b"hi", size_bytes=2), 1002, b"length not minimal"),
        (frame(PING) + frame(TEXT, b"hi", size_bytes=8), 1002, b"length not minimal"),
    ],
)
@pytest.mark.parametrize("has_eof", [True, False], ids=["eof", "no eof"])
async def test_bad_input_is_closed_and_discarded(
    peer: Peer, sent: bytes, code: int, reason: bytes, has_eof: bool
) -> None:
    await peer.open()
    peer.transport.has_eof = has_eof
    peer.lanes[0].pause_reading()
    peer.socket.data_received(sent + HI)
    assert peer.transport.take().endswith(sent_close(code, reason))
    assert (peer.transport.ends, peer.abort_s) == (["eof" if has_eof else "close"], ABORT_S)
    assert peer.transport.is_read
    peer.socket.data_received(HI)
    assert (peer.listener.messages, peer.pings) == ([], (0, 0))
    peer.socket.connection_lost(None)
    assert peer.listener.closes == [code]


async def test_bad_input_reaches_application_as_disconnect(peer: Peer) -> None:
    await peer.open(attaches=False)
    peer.socket.data_received(frame(TEXT, b"\xff"))
    assert await peer.queued() == [{"type": "websocket.disconnect", "code": 1007, "reason": ""}]


async def test_bad_input_after_own_close_keeps_its_code(peer: Peer) -> None:
    await peer.open()
    peer.lanes[0].close(4001)
    assert peer.transport.take() == sent_close(4001)
    peer.socket.data_received(frame(3))
    assert (peer.transport.take(), peer.transport.ends) == (b"", ["eof"])
    peer.socket.connection_lost(None)
    assert peer.listener.closes == [4001]


async def test_flood_is_closed_with_4429(peer: Peer) -> None:
    await peer.open()
    peer.socket.close_flood()
    assert peer.transport.take() == sent_close(4429, b"too many messages")
    assert (peer.transport.ends, peer.socket.disconnected, peer.abort_s) == (["eof"], True, ABORT_S)
    peer.socket.data_received(HI)
    assert peer.listener.messages == []


async def test_flood_reaches_application_as_disconnect(peer: Peer) -> None:
    await peer.open(attaches=False)
    peer.socket.close_flood()
    assert await peer.queued() == [{"type": "websocket.disconnect", "code": 4429, "reason": ""}]


async def test_missing_pong_closes_with_1011(peer: Peer) -> None:
    await peer.open()
    peer.socket.keepalive_timeout()
    assert peer.transport.take() == sent_close(1011, b"keepalive ping timeout")
    assert (peer.transport.ends, peer.socket.close_sent, peer.socket.disconnected) == (["close"], True, True)
    assert (peer.abort_s, peer.pings) == (ABORT_S, (0, 0))
    peer.socket.connection_lost(None)
    assert peer.listener.closes == [1006]


@pytest.mark.parametrize("way", ["paused", "held"])
async def test_missing_pong_of_unread_socket_waits_again(peer: Peer, way: str) -> None:
    await peer.open()
    if way == "paused":
        peer.lanes[0].pause_reading()
    else:
        peer.socket._incoming.hold_rest(HI, 0)
    peer.socket.keepalive_timeout()
    assert (peer.transport.take(), peer.transport.ends, peer.pings[1]) == (b"", [], 1)
    assert (peer.socket.phase, peer.abort_s) == (Phase.OPEN, None)


async def test_missing_pong_while_closing_writes_nothing(peer: Peer) -> None:
    await peer.open()
    peer.transport.close()
    peer.socket.keepalive_timeout()
    assert (peer.transport.take(), peer.socket.disconnected, peer.abort_s) == (b"", True, ABORT_S)


async def test_eof_bounds_the_close(peer: Peer) -> None:
    await peer.open()
    assert not peer.socket.eof_received()
    assert (peer.transport.ends, peer.abort_s) == ([], ABORT_S)
    first = peer.socket.close_timer
    peer.socket.eof_received()
    assert first.cancelled() and peer.abort_s == ABORT_S
    peer.socket.connection_lost(None)
    peer.socket.eof_received()
    assert peer.socket.close_timer is None


async def test_eof_needs_no_bound_if_nothing_is_buffered(peer: Peer) -> None:
    await peer.open()
    peer.socket.writer._fd = UNOPENED  # as without TLS
    peer.socket.eof_received()
    assert peer.socket.close_timer is None
    peer.transport.get_write_buffer_size = lambda: 1
    peer.socket.eof_received()
    assert peer.abort_s == ABORT_S


async def test_sockets_that_end_together_are_closed_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_queues, "ENDS_A_TURN", 1)
    peer = Peer()
    await peer.open()
    peer.socket.writer._fd = UNOPENED
    assert not peer.socket.eof_received()  # asyncio closes it
    assert peer.socket.eof_received()
    assert (peer.transport.ends, len(peer.queues.ends)) == ([], 1)
    await asyncio.sleep(0)  # the turn in which the first has used up the slice
    await asyncio.sleep(0)
    assert (peer.transport.ends, len(peer.queues.ends)) == (["close"], 0)


async def test_connections_lost_together_are_reported_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_queues, "SLICE_S", -1.0)
    peer = Peer()
    await peer.open()
    peer.socket.connection_lost(None)
    assert (peer.socket.phase, peer.listener.closes, len(peer.queues.losses)) == (Phase.CLOSED, [], 1)
    await asyncio.sleep(0)
    assert (peer.listener.closes, len(peer.queues.losses)) == ([1006], 0)


async def test_abort_ends_transport_in_time(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.transport.websocket_protocol.ABORT_S", 0)
    await peer.open()
    peer.socket.eof_received()
    async with asyncio.timeout(6):
        while not peer.transport.ends:
            await asyncio.sleep(0)
    assert peer.transport.ends == ["abort"]


async def test_shutdown_closes_open_socket_with_1012(peer: Peer) -> None:
    await peer.open()
    peer.socket.shutdown()
    assert peer.transport.take() == sent_close(1012)
    assert (peer.transport.ends, peer.abort_s, peer.pings) == (["close"], ABORT_S, (0, 0))
    peer.socket.shutdown()
    assert peer.transport.ends == ["close"]
    peer.socket.connection_lost(None)
    assert peer.listener.closes == [1012]


async def test_shutdown_after_server_close_keeps_code(peer: Peer) -> None:
    await peer.open()
    peer.lanes[0].close(4001)
    peer.transport.take()
    peer.socket.shutdown()
    assert (peer.transport.take(), peer.transport.ends, peer.abort_s) == (b"", ["close"], ABORT_S)
    peer.socket.connection_lost(None)
    assert peer.listener.closes == [4001]


@EVERY_WAY
async def test_shutdown_of_pending_handshake_is_503(peer: Peer, headers: list[str]) -> None:
    peer.http.data_received(handshake("/", *headers))
    peer.socket.shutdown()
    written = peer.transport.take()
    assert written.startswith(b"HTTP/1.1 503 ") and written.endswith(b"\r\n\r\nThe server is shutting down.\n")
    assert (peer.transport.ends, peer.socket.disconnected, peer.abort_s) == (["close"], True, ABORT_S)
    await settle()
    assert (peer.transport.take(), type(peer.failure)) == (b"", ClientDisconnected)


async def test_shutdown_of_closing_handshake_writes_nothing(peer: Peer) -> None:
    peer.answers, peer.attaches = [], False
    await peer.request()
    peer.transport.close()
    peer.socket.shutdown()
    assert (peer.transport.take(), peer.transport.ends, peer.abort_s) == (b"", ["close"], ABORT_S)


@pytest.mark.parametrize("end", [lambda p: p.transport.close(), lambda p: p.socket.close_flood()])
async def test_input_of_ended_socket_is_discarded(peer: Peer, end: Callable[[Peer], None]) -> None:
    await peer.open()
    end(peer)
    peer.socket.data_received(frame(PING) + HI)
    peer.socket.data_received(HI * 5000)
    assert (peer.listener.messages, peer.queues.turns._waiting) == ([], {})
