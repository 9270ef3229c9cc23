"""A receiver of webhooks, which checks signatures and answers as the test says."""

import asyncio
import hmac
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

SECRET = "a secret of the receiver"
Answer = Callable[[list[dict[str, Any]]], "int | float"]
"""The status for these events; a float: so many seconds of silence, then 204."""


class Receiver:
    """`deliveries` has the events of each signed delivery that was answered with success, `seen` of every one.

    `headers` has those of each signed delivery, with names in lower case.
    """

    def __init__(self) -> None:
        self.answer: Answer = lambda events: 204
        self.deliveries: list[list[dict[str, Any]]] = []
        self.seen: list[list[dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.unsigned = 0
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    @property
    def events(self) -> list[dict[str, Any]]:
        """The accepted events, in order, each once."""
        first: dict[str, dict[str, Any]] = {}
        for events in self.deliveries:
            for event in events:
                first.setdefault(event["id"], event)
        return list(first.values())

    def seqs(self) -> dict[int, list[int]]:
        """The seqs of the accepted events of each chat, in the order in which they first came."""
        found: dict[int, list[int]] = defaultdict(list)
        for event in self.events:
            found[event["chat_id"]].append(event["seq"])
        return dict(found)

    async def count(self, count: int, timeout_s: float = 20) -> list[dict[str, Any]]:
        """The accepted events, once there are so many."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while len(self.events) < count:
                    await asyncio.sleep(0.02)
        assert len(self.events) == count, f"{len(self.events)} of {count} events"
        return self.events

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                pairs = (line.partition(": ") for line in head.split("\r\n"))
                headers = {name.lower(): value for name, _, value in pairs}
                body = await reader.readexactly(int(headers["content-length"]))
                status = await self._answer(headers, body)
                location = "Location: /elsewhere\r\n" if status // 100 == 3 else ""
                writer.write(f"HTTP/1.1 {status} X\r\n{location}Content-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self._writers.discard(writer)

    async def _answer(self, headers: dict[str, str], body: bytes) -> int:
        at, _, given = headers["x-chat-signature"].removeprefix("t=").partition(",v1=")
        if not hmac.compare_digest(given, hmac.new(SECRET.encode(), at.encode() + b"." + body, "sha256").hexdigest()):
            self.unsigned += 1
            return 401
        events = json.loads(body)["events"]
        self.seen.append(events)
        self.headers.append(headers)
        status = self.answer(events)
        if isinstance(status, float):
            await asyncio.sleep(status)
            status = 204
        if 200 <= status < 300:
            self.deliveries.append(events)
        return status

    def close_connections(self) -> None:
        """End what is open."""
        for writer in list(self._writers):
            writer.close()


@asynccontextmanager
async def run_receiver(receiver: Receiver | None = None, port: int = 0) -> AsyncIterator[Receiver]:
    """A receiver on a port of 127.0.0.1."""
    receiver = receiver or Receiver()
    server = await asyncio.start_server(receiver._serve, "127.0.0.1", port, limit=4 * 1024 * 1024)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        receiver.close_connections()
