"""POSTs over kept connections, to a server that answers byte by byte what a test says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from httpapi.errors import PostFailed
from httpapi.outgoing.connections import Connections

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"


class Server:
    """Answers each request with the next bytes, and then closes the connection if they are all."""

    def __init__(self, answers: list[bytes], *, closes: bool) -> None:
        self.port = 0
        self.accepted = 0
        self.requests: list[bytes] = []
        self._answers = iter(answers)
        self._closes = closes

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.requests.append(head + await reader.readexactly(4))
                writer.write(next(self._answers))
                if self._closes:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def posting(
    *answers: bytes, closes: bool = False
) -> AsyncIterator[tuple[Server, Callable[[], asyncio.Task[int]]]]:
    """A server with these answers, and a post to it."""
    server = Server(list(answers), closes=closes)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    connections = Connections("localhost", server.port, is_tls=False)

    def post() -> asyncio.Task[int]:
        return asyncio.create_task(connections.post("127.0.0.1", HEAD, b"body"))

    try:
        yield server, post
    finally:
        connections.close()
        listening.close()


async def test_posts_share_a_connection() -> None:
    chunked = b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"
    continued = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
    async with posting(OK, chunked, continued) as (server, post):
        assert [await post() for _ in range(3)] == [200, 503, 204]
        assert (server.accepted, server.requests) == (1, [HEAD + b"body"] * 3)


async def test_posts_at_once_have_connections_of_their_own() -> None:
    async with posting(OK, OK, OK, OK) as (server, post):
        assert await asyncio.gather(post(), post()) == [200, 200]
        assert await asyncio.gather(post(), post()) == [200, 200]
        assert server.accepted == 2


async def test_closed_connection_is_not_used_again() -> None:
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\nand so on"
    async with posting(closing, endless, OK, OK) as (server, post):
        assert [await post() for _ in range(4)] == [200] * 4
        assert server.accepted == 3
    async with posting(OK, OK, closes=True) as (server, post):
        for _ in range(2):
            assert await post() == 200
            await asyncio.sleep(0.05)
        assert server.accepted == 2


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 2", b"HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n"])
async def test_no_response_is_a_failure(answer: bytes) -> None:
    async with posting(answer, closes=True) as (_, post):
        with pytest.raises(PostFailed):
            await post()


async def test_refused_connection_is_a_failure() -> None:
    async with posting() as (server, _):
        port = server.port
    with pytest.raises(PostFailed, match="ConnectError"):
        await Connections("localhost", port, is_tls=False).post("127.0.0.1", HEAD, b"body")


async def test_cancelled_post_closes_its_connection() -> None:
    async with posting(b"", OK) as (server, post):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await post()
        assert await post() == 200
        assert server.accepted == 2
