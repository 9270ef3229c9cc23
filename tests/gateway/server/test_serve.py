"""Start and stop of a node: the gate, the sockets, and a drain before the shutdown of uvicorn."""

import asyncio
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gateway.config.sources import load
from gateway.errors import CannotListen
from gateway.server import serve as serving
from gateway.server.serve import ACCEPTS_A_TURN, bind, run, serve
from gateway.server.startup import NoBarrier
from gateway.transport.http_protocol import HttpProtocol

Get = Callable[[], Awaitable[str]]


async def _nothing() -> None:
    return


async def _who(request: Request) -> PlainTextResponse:
    assert request.client is not None
    return PlainTextResponse(f"{request.url.scheme} {request.client.host}")


@asynccontextmanager
async def serving_node(
    drain: Callable[[], Coroutine[Any, Any, None]] = _nothing,
    hurry: Callable[[], None] = lambda: None,
    headers: dict[str, str] | list[tuple[str, str]] | None = None,
    **environ: str,
) -> AsyncIterator[tuple["asyncio.Task[None]", Get]]:
    """The serving task, and what the node answers now."""
    settings = load(environ={"DRAIN_DELAY_S": "0", "DRAIN_S": "0", **environ}, folder=Path("/nowhere"))
    bound, gate = bind("127.0.0.1", 0), NoBarrier()
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    app = Starlette(routes=[Route("/", _who)])
    work = asyncio.create_task(serve(app, settings, [bound], gate, drain=drain, hurry=hurry, websockets="none"))

    async def get() -> str:
        async with httpx.AsyncClient(headers=headers) as client:
            return (await client.get(url)).text

    try:
        async with asyncio.timeout(10):
            while not gate.is_open:  # the gate is the condition
                await asyncio.sleep(0.01)
            yield work, get
            await work
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def _signal() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


async def test_requests_are_served_during_drain() -> None:
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def drain() -> None:
        has_begun.set()
        await may_end.wait()

    async with serving_node(drain) as (work, get):
        _signal()
        await has_begun.wait()
        assert await get() == "http 127.0.0.1"
        assert not work.done()
        may_end.set()
        await work
        with pytest.raises(httpx.ConnectError):
            await get()


def test_waiting_connections_are_accepted_several_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []
    turn = 0

    def accepted(self: HttpProtocol, transport: asyncio.Transport) -> None:
        turns.append(turn)
        original(self, transport)

    original = HttpProtocol.connection_made
    monkeypatch.setattr(HttpProtocol, "connection_made", accepted)

    async def herd() -> None:
        nonlocal turn
        bound, gate = bind("127.0.0.1", 0), NoBarrier()
        settings = load(environ={"DRAIN_DELAY_S": "0", "DRAIN_S": "0"}, folder=Path("/nowhere"))
        work = asyncio.create_task(serve(Starlette(), settings, [bound], gate, websockets="none"))
        while not gate.is_open:  # the gate is the condition
            await asyncio.sleep(0.01)
        with ExitStack() as clients:
            for _ in range(5 * ACCEPTS_A_TURN):
                clients.enter_context(socket.create_connection(bound.getsockname()))
            while len(turns) < 5 * ACCEPTS_A_TURN:
                turn += 1
                await asyncio.sleep(0)
        _signal()
        await work

    run(asyncio.wait_for(herd(), 30))
    assert turns[-1] - turns[0] < 10


async def test_second_signal_hurries_the_drain() -> None:
    has_begun, hurried = asyncio.Event(), asyncio.Event()

    async def drain() -> None:
        has_begun.set()
        await hurried.wait()

    async with serving_node(drain, hurried.set, DRAIN_S="60") as (work, _):
        _signal()
        await has_begun.wait()
        assert not hurried.is_set()
        _signal()
        await work
    assert hurried.is_set()


async def test_endless_drain_is_abandoned(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(serving, "DRAIN_MARGIN_S", 0.1)

    async def drain() -> None:
        await asyncio.Event().wait()

    async with serving_node(drain) as (work, _):
        _signal()
        await work
    assert "drain_overdue" in caplog.text


async def test_failing_drain_is_logged_and_node_stops(caplog: pytest.LogCaptureFixture) -> None:
    async def drain() -> None:
        raise RuntimeError("a bug")

    async with serving_node(drain) as (work, _):
        _signal()
        await work
    assert "drain_failed" in caplog.text


async def test_forwarded_headers_are_used_only_from_trusted_proxy() -> None:
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    async with serving_node(headers=headers) as (_, get):
        assert await get() == "http 127.0.0.1"
        _signal()
    async with serving_node(headers=headers, TRUSTED_PROXIES="127.0.0.0/8") as (_, get):
        assert await get() == "https 203.0.113.9"
        _signal()


@pytest.mark.parametrize(
    ("proto", "scheme"),
    [
        ("https,http", "https"),
        ("https, http", "https"),
        ("http, https", "http"),
        ("HTTPS", "https"),
        ("https ,http", "https"),
        ("wss", "https"),
        ("WS", "http"),
        ("wss, http", "https"),
        ("", "http"),
        ("gopher", "http"),
        (",https", "http"),
    ],
)
async def test_forwarded_proto_is_read_in_every_common_form(proto: str, scheme: str) -> None:
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": proto}
    async with serving_node(headers=headers, TRUSTED_PROXIES="127.0.0.0/8") as (_, get):
        assert await get() == f"{scheme} 203.0.113.9"
        _signal()
    async with serving_node(headers=headers) as (_, get):
        assert await get() == "http 127.0.0.1"
        _signal()


async def test_forwarded_proto_in_several_lines_is_one_list() -> None:
    headers = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http")]
    async with serving_node(headers=headers, TRUSTED_PROXIES="127.0.0.0/8") as (_, get):
        assert await get() == "https 127.0.0.1"
        _signal()


def test_port_is_shared_only_if_both_request_it() -> None:
    with bind("127.0.0.1", 0, shared=True) as first:
        port = first.getsockname()[1]
        with bind("127.0.0.1", port, shared=True) as second:
            first.listen()
            second.listen()
            with pytest.raises(OSError), bind("127.0.0.1", port):
                pass


async def _serve_beside_a_taken_port() -> None:
    settings = load(environ={}, folder=Path("/nowhere"))
    good, bad = bind("127.0.0.1", 0), bind("127.0.0.1", 0)
    address = good.getsockname()
    with bind("127.0.0.1", bad.getsockname()[1]) as other:
        other.listen()
        async with asyncio.timeout(10):
            with pytest.raises(CannotListen, match=f"Port {other.getsockname()[1]} on 127.0.0.1 cannot be used: "):
                await serve(Starlette(), settings, [good, bad], NoBarrier(), websockets="none")
    with pytest.raises(ConnectionRefusedError), socket.create_connection(address, timeout=1):
        pass
    assert good.fileno() == bad.fileno() == -1


@pytest.mark.parametrize("start", [asyncio.run, run], ids=["asyncio", "uvloop"])
def test_port_taken_after_bind_is_an_error_without_leaks(start: Callable[[Any], Any]) -> None:
    start(_serve_beside_a_taken_port())
    gc.collect()


def test_ipv6_address_can_be_bound() -> None:
    with bind("::1", 0) as bound:
        assert bound.family == socket.AF_INET6
