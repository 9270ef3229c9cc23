"""The echo channel: verbatim, stored first, bounded."""

import asyncio
import os

import pytest
from websockets.asyncio.client import ClientConnection

from gateway.protocol.codes import Close, Disconnect
from gateway.sessions import echo
from gateway.sessions.echo_transcript import WINDOW_BYTES
from gateway.transport import websocket_protocol
from tests.gateway.echo_server import USER_ID, echo_server, end_of, everything
from tests.gateway.transport.wire import BINARY, RawClient, frame
from tests.support.transport_server import until

ONE_READ = 512 * 1024
"""More than one read of a socket brings."""


async def test_frames_are_echoed_verbatim_and_nothing_else_is_sent() -> None:
    sent: list[str | bytes] = ["", "x", "Привет \0 \U0001f600", b"", bytes(range(256)), "y" * 65_536, b"z" * 65_536]
    async with echo_server() as server, server.client() as client:
        for message in sent:
            await client.send(message)
        async with asyncio.timeout(10):
            assert [await client.recv() for _ in sent] == sent
        await client.send(["in ", "three ", "fragments"])
        assert await asyncio.wait_for(client.recv(), 10) == "in three fragments"
        await client.close()
        assert await everything(client) == []
        lines = server.transcripts.stored
        assert [line.place for line in lines] == list(range(1, 17))
        assert {(line.user_id, line.session_id) for line in lines} == {
            (USER_ID, server.sessions[0].log_fields["session_id"])
        }
        assert server.transcripts.words[2:4] == [("in", b"x"), ("out", b"x")]
        assert [line.is_text for line in lines] == [*[True] * 6, *[False] * 4, True, True, False, False, True, True]


async def test_echo_waits_until_message_is_stored() -> None:
    async with echo_server(holds=True) as server, server.client() as client:
        for text in ("a", "b"):
            await client.send(text)
        await until(lambda: len(server.transcripts.waiting) == 2)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.recv(), 0.2)
        server.transcripts.answer()
        assert [await asyncio.wait_for(client.recv(), 10) for _ in range(2)] == ["a", "b"]


async def test_failed_store_closes_socket_without_echo() -> None:
    async with echo_server(holds=True) as server, server.client() as client:
        for text in ("a", "b"):
            await client.send(text)
        await until(lambda: len(server.transcripts.waiting) == 2)
        server.transcripts.answer(is_stored=False)
        assert await everything(client) == []
        assert await end_of(client) == (Close.INTERNAL, "the transcript could not be stored")
        assert server.metric("chat_gateway_transcripts_lost_total") == 1


async def test_no_message_is_echoed_after_a_failed_store() -> None:
    async with echo_server(holds=True) as server, server.client() as client:
        for text in ("a", "b"):
            await client.send(text)
        await until(lambda: len(server.transcripts.waiting) == 2)
        (_, first), (_, second) = server.transcripts.waiting
        first(False)
        second(True)
        assert await everything(client) == []


async def test_client_with_lagging_transcript_is_not_read() -> None:
    async with echo_server(holds=True) as server, server.client() as client:
        payload = b"x" * 32_768
        count = 400  # 13 MB: more than all the buffers between us
        sending = asyncio.create_task(_send_all(client, [payload] * count))
        await until(lambda: server.transcripts.waiting_bytes >= WINDOW_BYTES)
        done, _ = await asyncio.wait([sending], timeout=0.5)
        assert not done
        assert server.transcripts.waiting_bytes <= WINDOW_BYTES + ONE_READ
        server.transcripts.holds = False
        server.transcripts.answer()
        async with asyncio.timeout(30):
            assert [len(await client.recv()) for _ in range(count)] == [len(payload)] * count
            await sending


async def test_busy_writer_limits_session_to_one_pending_message() -> None:
    async with echo_server(holds=True) as server, server.client() as client:
        server.transcripts.is_busy = True
        await client.send("first")
        await until(lambda: server.transcripts.waiting)
        await client.send("second")
        with pytest.raises(TimeoutError):
            await until(lambda: len(server.transcripts.waiting) > 1, 0.2)
        server.transcripts.answer()
        await until(lambda: server.transcripts.waiting)
        server.transcripts.answer()
        assert [await asyncio.wait_for(client.recv(), 10) for _ in range(2)] == ["first", "second"]


async def test_slow_client_gets_everything_in_order() -> None:
    async with echo_server() as server, await RawClient.open(server.port, receive_buffer=4096) as client:
        payloads = [os.urandom(60_000) for _ in range(400)]  # more than all the kernel's buffers
        sending = asyncio.create_task(_send_raw(client, payloads))
        await asyncio.wait([sending], timeout=0.5)
        assert not sending.done(), "its answers would have to lie somewhere"
        async with asyncio.timeout(30):
            frames = [await client.read() for _ in payloads]
            await sending
        assert all(one is not None and one.payload == sent for one, sent in zip(frames, payloads, strict=True))


async def test_client_that_never_reads_is_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(echo, "TAKE_S", 0.3)
    monkeypatch.setattr(websocket_protocol, "ABORT_S", 0.3)
    async with echo_server() as server, await RawClient.open(server.port, receive_buffer=4096) as client:
        sending = asyncio.create_task(_send_raw(client, [b"x" * 60_000] * 200))
        await until(lambda: server.ends)
        assert server.ends == [Close.SLOW_CONSUMER]
        assert server.metric("chat_gateway_slow_consumers_total") == 1
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def test_received_message_is_stored_after_disconnect() -> None:
    async with echo_server(holds=True) as server, server.client() as client:
        await client.send("last words")
        await until(lambda: server.transcripts.waiting)
        await client.close()
        await until(lambda: server.ends)
        server.transcripts.answer()
        assert server.transcripts.words == [("in", b"last words"), ("out", b"last words")]


async def test_session_closed_before_open_closes_on_open() -> None:
    async with echo_server() as server:
        server.before_attach = lambda session: session.close(Disconnect(Close.DRAIN, '{"retry_after_ms":5}'))
        async with server.client() as client:
            assert await end_of(client) == (Close.DRAIN, '{"retry_after_ms":5}')


async def _send_all(client: ClientConnection, payloads: list[bytes]) -> None:
    for payload in payloads:
        await client.send(payload)


async def _send_raw(client: RawClient, payloads: list[bytes]) -> None:
    for payload in payloads:
        await client.send(frame(BINARY, payload))
        await asyncio.sleep(0)  # so that each is a read of its own
