"""The server of a node runs our protocol classes, so that the other tests of this folder hold for `serve`."""

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

from gateway.config.sources import load
from gateway.http.problems import Problem
from gateway.server.serve import bind, serve
from gateway.server.startup import NoBarrier
from httpapi.body import read_json
from tests.gateway.transport.wire import TEXT, RawClient, Received, close, frame
from tests.support.transport_server import LaneApp, echo, until


async def _body(request: Request) -> PlainTextResponse:
    try:
        await read_json(request, dict[str, Any])
    except Problem as problem:
        return PlainTextResponse("too late", problem.status, headers=problem.headers)
    return PlainTextResponse("in time")


@asynccontextmanager
async def served(lane: LaneApp) -> AsyncIterator[int]:
    """The port of a node."""
    settings = load(environ={"DRAIN_DELAY_S": "0", "DRAIN_S": "0"}, folder=Path("/nowhere"))
    bound, gate = bind("127.0.0.1", 0), NoBarrier()
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


async def test_served_node_offers_connection_extension() -> None:
    async with served(LaneApp(echo)) as port, await RawClient.open(port, "/lane/") as client:
        await client.send(frame(TEXT, b"hi"))
        assert await client.read() == Received(TEXT, b"hi")
        await client.send(close(1000))
        assert [one.code for one in await client.read_all()] == [1000]


async def test_served_node_times_out_slow_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.transport.server_queues.HEAD_S", 0.1)
    async with served(LaneApp(echo)) as port, await RawClient.connect(port) as client:
        async with asyncio.timeout(6):
            await client.ended()


async def test_served_node_sends_408_for_slow_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.transport.server_queues.HEAD_S", 0.2)  # the same for both, as they are in the code
    monkeypatch.setattr("httpapi.body.TIMEOUT_S", 0.2)
    async with served(LaneApp(echo)) as port, await RawClient.connect(port) as client:
        head = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
        await client.send(head + b"{")
        assert (await client.answer()).startswith(b"HTTP/1.1 408 ")
        await client.ended()
