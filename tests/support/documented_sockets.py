"""Checks every socket and event stream of a test against the AsyncAPI document; of browsers, the sockets."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Page, WebSocket
from websockets.asyncio.client import ClientConnection

from tests.support.documented import channel_of, closes_of, is_told
from tests.support.event_stream import EventStream

Check = Callable[[str, str | bytes], None]
"""Called with the path of a socket and a received payload."""


@contextmanager
def documented_sockets() -> Iterator[list[str]]:
    """The undocumented messages and close codes so far; the list grows while the block runs."""
    faults: list[str] = []

    def check(path: str, payload: str | bytes) -> None:
        channel = channel_of(path)
        if channel is not None and not is_told(channel, payload):
            faults.append(f"{channel} sent {payload!r}")

    with pytest.MonkeyPatch.context() as patch:
        _watch_connections(patch, check, faults)
        _watch_streams(patch, check, faults)
        _watch_pages(patch, check)
        yield faults


def _watch_connections(patch: pytest.MonkeyPatch, check: Check, faults: list[str]) -> None:
    recv, connection_lost = ClientConnection.recv, ClientConnection.connection_lost

    async def recv_and_check(self: ClientConnection, decode: bool | None = None) -> str | bytes:
        payload = await recv(self, decode)
        if self.request is not None:
            check(self.request.path, payload)
        return payload

    def check_close(self: ClientConnection, exc: Exception | None) -> None:
        connection_lost(self, exc)
        close = self.protocol.close_rcvd
        if self.request is None or close is None or close.code < 4000 or not self.protocol.close_rcvd_then_sent:
            return
        channel = channel_of(self.request.path)
        if channel is not None and close.code not in closes_of(channel):
            faults.append(f"{channel} closed with {close.code}")

    patch.setattr(ClientConnection, "recv", recv_and_check)
    patch.setattr(ClientConnection, "connection_lost", check_close)


def _watch_streams(patch: pytest.MonkeyPatch, check: Check, faults: list[str]) -> None:
    dispatch = EventStream.dispatch

    def dispatch_and_check(self: EventStream, name: str, data: str) -> None:
        path = self.response.url.raw_path.decode()
        check(path, data)
        dispatch(self, name, data)
        if self.closed is not None and self.closed["code"] not in closes_of(channel_of(path) or ""):
            faults.append(f"{path} closed with {self.closed['code']}")

    patch.setattr(EventStream, "dispatch", dispatch_and_check)


def _watch_pages(patch: pytest.MonkeyPatch, check: Check) -> None:
    new_context, new_page = Browser.new_context, Browser.new_page

    def watch_socket(socket: WebSocket) -> None:
        path = urlsplit(socket.url).path
        socket.on("framereceived", lambda payload: check(path, payload))

    def watch(page: Page) -> None:
        page.on("websocket", watch_socket)

    async def context_of_watched_pages(self: Browser, **options: Any) -> BrowserContext:
        context = await new_context(self, **options)
        context.on("page", watch)
        return context

    async def watched_page(self: Browser, **options: Any) -> Page:
        page = await new_page(self, **options)
        watch(page)
        return page

    patch.setattr(Browser, "new_context", context_of_watched_pages)
    patch.setattr(Browser, "new_page", watched_page)
