"""Bodies over the limit on a real connection, where the response could be lost."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api.schemas import answer
from gateway.config.sources import load
from gateway.http.problems import HANDLERS
from gateway.server.serve import bind, serve
from gateway.server.startup import NoBarrier
from httpapi.body import MAX_BODY_BYTES, read_json
from tests.gateway.api.world import problem


async def _echo(request: Request) -> Response:
    return answer(await read_json(request, object))


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """Where a server of ours reads JSON."""
    settings = load(environ={"DRAIN_DELAY_S": "0", "DRAIN_S": "0"}, folder=Path("/nowhere"))
    app = Starlette(routes=[Route("/", _echo, methods=["POST"])], exception_handlers=HANDLERS)
    bound, gate = bind("127.0.0.1", 0), NoBarrier()
    serving = asyncio.create_task(serve(app, settings, [bound], gate, websockets="none"))
    try:
        async with asyncio.timeout(10):
            while not gate.is_open:
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/"
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def _in_chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(0, size, 1000):
        yield b"x" * 1000


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 200_000, 5_000_000])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["declared", "chunked"])
async def test_too_large_body_gets_413_and_connection_continues(url: str, size: int, is_chunked: bool) -> None:
    headers = {"Content-Type": "application/json"}
    async with httpx.AsyncClient() as http:
        for _ in range(5):
            body = _in_chunks(size) if is_chunked else b"x" * size
            problem(await http.post(url, content=body, headers=headers), 413, "too_large")
        assert (await http.post(url, json={"a": 1})).json() == {"a": 1}


async def test_body_at_the_limit_is_read(url: str) -> None:
    text = "x" * (MAX_BODY_BYTES - 2)
    async with httpx.AsyncClient() as http:
        assert (await http.post(url, json=text)).json() == text
