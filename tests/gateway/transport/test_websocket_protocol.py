"""What one WebSocket writes and leaves waiting until it closes: handshake, reads, pings. The transport records."""

import asyncio
import logging
from typing import Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from gateway.protocol.frames import text_frame
from gateway.transport.incoming import LONG_READ_BYTES
from gateway.transport.phase import Phase
from gateway.transport.websocket_protocol import ABORT_S, MAX_UNREAD_PONGS
from tests.gateway.transport.wire import CONT, PING, PONG, TEXT, close, frame, handshake
from tests.support.recorded_transport import Peer, sent_close, settle

HI = frame(TEXT, b"hi")

EVERY_WAY = pytest.mark.parametrize("headers", [[], ["Connection: Upgrade"]], ids=["plain", "other"])


@EVERY_WAY
async def test_open_socket_echoes_and_waits_for_ping(peer: Peer, headers: list[str]) -> None:
    await peer.open(*headers)
    assert (peer.socket.phase, peer.pings, len(peer.queues.openings)) == (Phase.OPEN, (1, 0), 0)
    assert (peer.socket.scope, peer.socket.request, peer.abort_s) == (None, None, None)
    peer.socket.data_received(HI)
    assert peer.transport.take() == text_frame(b"hi")
    peer.socket.connection_lost(None)
    assert (peer.listener.closes, peer.pings, peer.socket.close_timer) == ([1006], (0, 0), None)
    assert peer.state.connections == set()


@EVERY_WAY
async def test_handshake_waits_for_answer_in_openings(peer: Peer, headers: list[str]) -> None:
    peer.answers, peer.attaches = [], False
    await peer.request(*headers)
    assert (peer.socket.phase, len(peer.queues.openings), peer.pings) == (Phase.HANDSHAKE, 1, (0, 0))
    assert peer.received == [{"type": "websocket.connect"}]
    peer.socket.handshake_overdue()
    assert (peer.transport.ends, peer.transport.take()) == (["abort"], b"")
    peer.socket.connection_lost(None)
    assert (len(peer.queues.openings), peer.socket._handshake) == (0, None)


async def test_overdue_call_after_accept_does_nothing(peer: Peer) -> None:
    await peer.open()
    peer.socket.handshake_overdue()
    assert (peer.transport.ends, peer.socket.phase) == ([], Phase.OPEN)


@EVERY_WAY
async def test_bytes_before_response_abort(peer: Peer, headers: list[str]) -> None:
    peer.answers, peer.attaches = [], False
    await peer.request(*headers)
    peer.socket.data_received(b"x")
    assert peer.transport.ends == ["abort"]


@EVERY_WAY
async def test_accept_of_lost_socket_raises(peer: Peer, headers: list[str]) -> None:
    peer.http.data_received(handshake("/", *headers))
    peer.socket.connection_lost(None)
    await settle()
    assert isinstance(peer.failure, ClientDisconnected)
    assert (peer.transport.take(), peer.listener) == (b"", None)


async def test_accept_of_closing_socket_writes_nothing(peer: Peer) -> None:
    peer.attaches = False
    peer.http.data_received(handshake())
    peer.transport.close()
    await settle()
    assert (peer.transport.take(), peer.socket.handshake_complete, peer.pings) == (b"", False, (0, 0))


async def test_accept_after_parser_use_opens_it(peer: Peer) -> None:
    peer.http.data_received(handshake())
    peer.socket.ensure_conn()
    await settle()
    assert peer.transport.take().startswith(b"HTTP/1.1 101 ")
    peer.socket.data_received(frame(PING, b"p"))
    assert peer.transport.take() == frame(PONG, b"p", mask=None)


@pytest.mark.parametrize(
    ("answer", "status", "log"),
    [
        (RuntimeError("a bug"), 500, ["application_failed"]),
        (None, 500, ["handshake_unanswered"]),
        ({"type": "websocket.close"}, 403, []),
    ],
)
@EVERY_WAY
async def test_unaccepted_handshake_is_rejected(
    peer: Peer, caplog: pytest.LogCaptureFixture, headers: list[str], answer: Any, status: int, log: list[str]
) -> None:
    peer.answers = [] if answer is None else [answer]
    peer.attaches = False
    peer.returns.set()
    await peer.request(*headers)
    assert peer.transport.take().startswith(b"HTTP/1.1 %d " % status)
    assert (peer.transport.ends[0], peer.abort_s) == ("close", ABORT_S)
    assert [(one.message, one.levelno) for one in caplog.records] == [(name, logging.ERROR) for name in log]


async def test_application_that_returns_closes_socket(peer: Peer) -> None:
    await peer.open(attaches=False)
    peer.returns.set()
    await settle()
    assert (peer.transport.ends, peer.abort_s) == (["close"], ABORT_S)


async def test_application_that_returns_after_close_waits(peer: Peer) -> None:
    peer.answers.append({"type": "websocket.close", "code": 4001})
    peer.attaches = False
    peer.returns.set()
    await peer.request()
    assert peer.transport.take().endswith(sent_close(4001))
    assert (peer.transport.ends, peer.abort_s) == ([], ABORT_S)


async def test_failure_after_accept_is_logged(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    peer.answers.append(RuntimeError("a bug"))
    await peer.request()
    assert peer.transport.take().endswith(b"\r\n\r\n")
    assert (peer.transport.ends, caplog.messages) == (["close"], ["application_failed"])


async def test_read_longer_than_bound_waits_for_turn(peer: Peer) -> None:
    await peer.open()
    short = frame(TEXT, b"x" * (LONG_READ_BYTES - 8))
    assert len(short) == LONG_READ_BYTES
    peer.socket.data_received(short)
    assert len(peer.listener.messages) == 1
    peer.socket.data_received(frame(TEXT, b"x" * (LONG_READ_BYTES - 7)))
    assert (len(peer.listener.messages), peer.transport.is_read) == (1, False)
    peer.socket.data_received(HI)
    assert len(peer.listener.messages) == 1, "behind the long one"
    await settle()
    assert [len(payload) for payload, _ in peer.listener.messages] == [LONG_READ_BYTES - 8, LONG_READ_BYTES - 7, 2]
    assert peer.transport.is_read


async def test_queued_message_pauses_reading_until_received(peer: Peer) -> None:
    await peer.open(attaches=False)
    peer.socket.data_received(HI + frame(TEXT, b"2"))
    assert not peer.transport.is_read
    assert (await peer.socket.receive())["text"] == "hi"
    assert not peer.transport.is_read, "one more is queued"
    assert (await peer.socket.receive())["text"] == "2"
    assert peer.transport.is_read


async def test_message_of_binary_is_queued_as_bytes(peer: Peer) -> None:
    await peer.open(attaches=False)
    peer.socket.data_received(frame(2, b"a", fin=False) + frame(CONT, b"b"))
    assert await peer.queued() == [{"type": "websocket.receive", "bytes": b"ab"}]


async def test_pings_unanswered_by_reader_abort_beyond_bound(peer: Peer) -> None:
    await peer.open()
    peer.socket._incoming.allowance = 10**9
    ping, pong = frame(PING, b"x" * 125), frame(PONG, b"x" * 125, mask=None)
    most = MAX_UNREAD_PONGS // len(pong)
    for _ in range(2):
        peer.socket.pause_writing()
        for _ in range(most):
            peer.socket.data_received(ping)
        assert peer.transport.take() == pong * most
        peer.socket.resume_writing()
        peer.socket.data_received(ping)
        assert (peer.transport.take(), peer.transport.ends) == (pong, [])
    peer.socket.pause_writing()
    for _ in range(most + 1):
        peer.socket.data_received(ping)
    assert (peer.transport.take(), peer.transport.ends) == (pong * most, ["abort"])
    peer.socket.resume_writing()


async def test_unread_pongs_may_reach_their_bound(peer: Peer) -> None:
    await peer.open()
    peer.socket._incoming.allowance = 10**9
    peer.socket.pause_writing()
    for _ in range(MAX_UNREAD_PONGS // 128):
        peer.socket.data_received(frame(PING, b"x" * 124) + frame(PING))
    assert (len(peer.transport.take()), peer.transport.ends) == (MAX_UNREAD_PONGS, [])
    peer.socket.data_received(frame(PING))
    assert peer.transport.ends == ["abort"]
    peer.socket.resume_writing()


async def test_pong_of_our_ping_schedules_next(peer: Peer) -> None:
    await peer.open()
    for extra in (b"", frame(PING)):  # by the fast path, and by the parser
        peer.queues.keepalive._pings.discard(peer.socket)
        peer.queues.keepalive._ping(peer.socket)
        payload = peer.transport.take()[2:]
        assert peer.pings == (0, 1)
        peer.socket.data_received(frame(PONG, b"else"))
        assert peer.pings == (0, 1)
        peer.socket.data_received(frame(PONG, payload) + extra)
        assert peer.pings == (1, 0)
        peer.transport.take()


async def test_full_buffer_stops_only_its_own_writer(peer: Peer) -> None:
    other = Peer()
    for one in (peer, other):
        await one.open()
    peer.socket.pause_writing()
    waiting = [asyncio.create_task(one.lanes[0].drained()) for one in (peer, other)]
    await settle()
    assert [task.done() for task in waiting] == [False, True]
    peer.socket.resume_writing()
    assert [await task for task in waiting] == [True, True]
    assert await peer.lanes[0].drained()
    peer.socket.pause_writing()
    assert other.socket.writable.is_set()
    peer.socket.connection_lost(None)
    other.socket.connection_lost(None)


async def test_request_that_websockets_rejects_is_400(peer: Peer) -> None:
    peer.http.data_received(handshake("/").replace(b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 8"))
    assert peer.transport.take().startswith(b"HTTP/1.1 400 ")
    assert (peer.transport.ends, peer.received) == (["close"], [])


async def test_request_with_body_is_400_with_reason(peer: Peer) -> None:
    peer.http.data_received(handshake("/", "Content-Length: 2"))
    written = peer.transport.take()
    assert written.startswith(b"HTTP/1.1 400 ")
    assert written.endswith(b"\r\n\r\nFailed to open a WebSocket connection: the request is invalid, or has a body.\n")
    assert (peer.transport.ends, peer.received) == (["close"], [])


async def test_long_request_gets_answer_of_websockets(peer: Peer) -> None:
    peer.http.data_received(handshake("/", "X-Long: " + "x" * 9000))
    assert peer.transport.take().startswith(b"HTTP/1.1 431 ")
    assert (peer.transport.ends, peer.received) == (["close"], [])


async def test_send_after_denial_pauses_nothing(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    peer.answers = [
        {"type": "websocket.http.response.start", "status": 403, "headers": []},
        {"type": "websocket.http.response.body", "body": b"no", "more_body": True},
        {"type": "websocket.http.response.body", "body": b"pe"},
    ]
    peer.attaches = False
    peer.returns.set()
    await peer.request()
    assert peer.transport.take().endswith(b"\r\n\r\nnope")
    assert (peer.transport.ends[0], peer.socket.handshake_complete, caplog.messages) == ("close", True, [])


async def test_close_within_message_delivers_what_is_held(peer: Peer) -> None:
    await peer.open()
    peer.lanes[0].pause_reading()
    peer.socket.data_received(frame(TEXT, b"held") + frame(TEXT, b"begun", fin=False) + close(1000))
    assert (peer.listener.messages, peer.listener.closes) == ([(b"held", True)], [])
    assert peer.transport.take().endswith(sent_close(1000))
    peer.socket.connection_lost(None)
    assert peer.listener.closes == [1000]
