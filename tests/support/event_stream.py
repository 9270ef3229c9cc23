"""A client of `text/event-stream`, as a browser's EventSource is one: it keeps the last `id`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

WAIT_S = 20.0


@dataclass
class EventStream:
    """One open stream. `events` has what was received, `last_id` the position after it."""

    response: httpx.Response
    last_id: str = ""
    retry_ms: int | None = None
    comments: int = 0
    closed: dict[str, Any] | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    is_over: bool = False
    _taken: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> None:
        """Receive until the stream ends."""
        name, data, new_id = "", [], None
        try:
            async for line in self.response.aiter_lines():
                key, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if not line:
                    if new_id is not None:
                        self.last_id = new_id
                    if data:
                        self.dispatch(name, "\n".join(data))
                    name, data, new_id = "", [], None
                elif not key:
                    self.comments += 1
                elif key == "event":
                    name = value
                elif key == "data":
                    data.append(value)
                elif key == "id":
                    new_id = value
                elif key == "retry":
                    self.retry_ms = int(value)
        except httpx.TransportError:
            pass
        finally:
            self.is_over = True
            self._news.set()

    def dispatch(self, name: str, data: str) -> None:
        """Keep an event's JSON."""
        value = orjson.loads(data)
        if name == "close":
            self.closed = value
        else:
            self.events.append(value)
        self._news.set()

    async def next(self, kind: str) -> dict[str, Any]:
        """The next event of this type; others before it are skipped."""
        async with asyncio.timeout(WAIT_S):
            while True:
                while self._taken < len(self.events):
                    self._taken += 1
                    if self.events[self._taken - 1]["type"] == kind:
                        return self.events[self._taken - 1]
                assert not self.is_over, (self.closed, self.events)
                self._news.clear()
                await self._news.wait()

    async def end(self) -> dict[str, Any] | None:
        """Wait for the end of the stream; what its last event says."""
        async with asyncio.timeout(WAIT_S):
            while not self.is_over:
                self._news.clear()
                await self._news.wait()
        return self.closed

    def texts(self) -> list[str]:
        """The texts of all messages, in the order of arrival."""
        return [event["data"]["text"] for event in self.events if event["type"] == "message"]


@asynccontextmanager
async def event_stream(
    url: str, token: str | None = None, *, last_id: str = "", **query: object
) -> AsyncIterator[EventStream]:
    """Open a stream, and close it at the end of the block.

    Raises: httpx.HTTPStatusError if it is rejected.
    """
    headers = {"Accept": "text/event-stream"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if last_id:
        headers["Last-Event-ID"] = last_id
    async with (
        httpx.AsyncClient(timeout=httpx.Timeout(10, read=60), trust_env=False) as http,
        http.stream(
            "GET", url, headers=headers, params={name: str(value) for name, value in query.items()}
        ) as response,
    ):
        if response.is_error:
            await response.aread()
        response.raise_for_status()
        stream = EventStream(response, last_id)
        reading = asyncio.create_task(stream.read())
        try:
            yield stream
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
