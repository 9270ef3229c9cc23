"""The echo channel by itself: verbatim, stored first, bounded."""

import asyncio
import os

import pytest
from websockets.asyncio.client import ClientConnection

from gateway import echo, transport
from gateway.codes import Close, Disconnect
from gateway.conversation import WINDOW_BYTES
from tests.gateway.echo_server import USER_ID, echo_server, end_of, everything
from tests.gateway.transport.server import until
from tests.gateway.transport.wire import BINARY, RawClient, frame

ONE_READ = 512 * 1024
"""More than one read of a socket brings."""


async def test_frames_come_back_verbatim_and_nothing_else_is_ever_sent() -> None:
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


async def test_nothing_is_answered_before_it_is_stored() -> None:
    async with echo_server(holds=True) as server, server.client() as client:
        for text in ("a", "b"):
            await client.send(text)
        await until(lambda: len(server.transcripts.waiting) == 2)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.recv(), 0.2)
        server.transcripts.answer()
        assert [await asyncio.wait_for(client.recv(), 10) for _ in range(2)] == ["a", "b"]


async def test_what_cannot_be_stored_closes_the_socket_and_is_never_answered() -> None:
    async with echo_server(holds=True) as server, server.client() as client:
        for text in ("a", "b"):
            await client.send(text)
        await until(lambda: len(server.transcripts.waiting) == 2)
        server.transcripts.answer(is_stored=False)
        assert await everything(client) == []
        assert await end_of(client) == (Close.INTERNAL, "the transcript could not be stored")
        assert server.metric("chat_gateway_transcripts_lost_total") == 1


async def test_no_message_goes_on_after_one_that_could_not_be_stored() -> None:
    async with echo_server(holds=True) as server, server.client() as client:
        for text in ("a", "b"):
            await client.send(text)
        await until(lambda: len(server.transcripts.waiting) == 2)
        (_, first), (_, second) = server.transcripts.waiting
        first(False)
        second(True)
        assert await everything(client) == []


async def test_a_client_whose_transcript_lags_is_not_read() -> None:
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


async def test_while_the_writer_is_busy_a_session_has_only_one_read_under_way() -> None:
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


async def test_a_client_that_reads_late_gets_everything_in_order() -> None:
    async with echo_server() as server, await RawClient.open(server.port, receive_buffer=4096) as client:
        payloads = [os.urandom(60_000) for _ in range(400)]  # more than all the kernel's buffers
        sending = asyncio.create_task(_send_raw(client, payloads))
        await asyncio.wait([sending], timeout=0.5)
        assert not sending.done(), "its answers would have to lie somewhere"
        async with asyncio.timeout(30):
            frames = [await client.read() for _ in payloads]
            await sending
        assert [one.payload for one in frames if one] == payloads


async def test_a_client_that_never_reads_is_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(echo, "TAKE_S", 0.3)
    monkeypatch.setattr(transport, "ABORT_S", 0.3)
    async with echo_server() as server, await RawClient.open(server.port, receive_buffer=4096) as client:
        sending = asyncio.create_task(_send_raw(client, [b"x" * 60_000] * 200))
        await until(lambda: server.ends)
        assert server.ends == [Close.SLOW_CONSUMER]
        assert server.metric("chat_gateway_slow_consumers_total") == 1
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def test_what_was_taken_is_stored_though_the_client_has_gone() -> None:
    async with echo_server(holds=True) as server, server.client() as client:
        await client.send("last words")
        await until(lambda: server.transcripts.waiting)
        await client.close()
        await until(lambda: server.ends)
        server.transcripts.answer()
        assert server.transcripts.words == [("in", b"last words"), ("out", b"last words")]


async def test_a_session_that_is_closed_before_it_is_open_is_closed_then() -> None:
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
