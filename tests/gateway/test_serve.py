"""A node's start and end: the gate, the sockets, and a drain that comes before uvicorn's shutdown."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gateway import serve as serving
from gateway.gate import OwnGate
from gateway.serve import bind, serve
from gateway.settings import load

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
    headers: dict[str, str] | None = None,
    **environ: str,
) -> AsyncIterator[tuple["asyncio.Task[None]", Get]]:
    """The serving task, and what the node answers now."""
    settings = load(environ={"DRAIN_DELAY_S": "0", "DRAIN_S": "0", **environ}, folder=Path("/nowhere"))
    bound, gate = bind("127.0.0.1", 0), OwnGate()
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


async def test_everything_is_still_served_while_it_drains() -> None:
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


async def test_a_second_signal_hurries() -> None:
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


async def test_a_drain_that_does_not_end_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serving, "DRAIN_MARGIN_S", 0.1)

    async def drain() -> None:
        await asyncio.Event().wait()

    async with serving_node(drain) as (work, _):
        _signal()
        await work
    assert "drain_overdue" in caplog.text


async def test_a_drain_that_fails_is_logged_and_the_node_ends(caplog: pytest.LogCaptureFixture) -> None:
    async def drain() -> None:
        raise RuntimeError("a bug")

    async with serving_node(drain) as (work, _):
        _signal()
        await work
    assert "drain_failed" in caplog.text


async def test_forwarded_headers_count_from_a_trusted_proxy_only() -> None:
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    async with serving_node(headers=headers) as (_, get):
        assert await get() == "http 127.0.0.1"
        _signal()
    async with serving_node(headers=headers, TRUSTED_PROXIES="127.0.0.0/8") as (_, get):
        assert await get() == "https 203.0.113.9"
        _signal()


def test_a_port_is_shared_only_by_those_who_ask() -> None:
    first = bind("127.0.0.1", 0, shared=True)
    port = first.getsockname()[1]
    second = bind("127.0.0.1", port, shared=True)
    with first, second:
        first.listen()
        second.listen()
        with pytest.raises(OSError):
            bind("127.0.0.1", port)


def test_an_ipv6_address_can_be_bound() -> None:
    with bind("::1", 0) as bound:
        assert bound.family == socket.AF_INET6
