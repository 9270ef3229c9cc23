"""The node's own server runs our classes: what the other tests show of them holds for `serve`."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from gateway.gate import OwnGate
from gateway.http.bodies import read_body
from gateway.problems import Problem
from gateway.serve import bind, serve
from gateway.settings import load
from tests.gateway.transport.server import LaneApp, echo, until
from tests.gateway.transport.wire import TEXT, RawClient, Received, close, frame


async def _body(request: Request) -> PlainTextResponse:
    try:
        await read_body(request, dict[str, Any])
    except Problem as problem:
        return PlainTextResponse("too late", problem.status, headers=problem.headers)
    return PlainTextResponse("in time")


@asynccontextmanager
async def served(lane: LaneApp) -> AsyncIterator[int]:
    """The port of a node."""
    settings = load(environ={"DRAIN_DELAY_S": "0", "DRAIN_S": "0"}, folder=Path("/nowhere"))
    bound, gate = bind("127.0.0.1", 0), OwnGate()
    port: int = bound.getsockname()[1]
    app = Starlette(routes=[Route("/body", _body, methods=["POST"]), Mount("/lane", lane)])
    work = asyncio.create_task(serve(app, settings, [bound], gate))
    try:
        await until(lambda: gate.is_open)
        yield port
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(work, 10)
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_a_node_offers_the_lane() -> None:
    async with served(LaneApp(echo)) as port, await RawClient.open(port, "/lane/") as client:
        await client.send(frame(TEXT, b"hi"))
        assert await client.read() == Received(TEXT, b"hi")
        await client.send(close(1000))
        assert [one.code for one in await client.read_all()] == [1000]


async def test_a_node_bounds_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.http_transport.HEAD_S", 0.1)
    async with served(LaneApp(echo)) as port, await RawClient.connect(port) as client:
        async with asyncio.timeout(2):
            await client.ended()


async def test_a_node_answers_408_to_a_slow_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.http_transport.HEAD_S", 0.2)  # the same for both, as they are in the code
    monkeypatch.setattr("auth.body.TIMEOUT_S", 0.2)
    async with served(LaneApp(echo)) as port, await RawClient.connect(port) as client:
        head = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
        await client.send(head + b"{")
        assert (await client.answer()).startswith(b"HTTP/1.1 408 ")
        await client.ended()
