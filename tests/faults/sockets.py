"""The socket of a client during a run: it reconnects with `since` after a backoff with full jitter."""

import asyncio
import random
import urllib.parse
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from tests.faults.history import Content, Counts, Delivery
from tests.faults.world import World

BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 20.0
SETTLED_S = 5.0
ANSWER_S = 10.0
"""A link that says nothing for this long when something is due is dead (as in the page's client)."""
PING_S = 5.0


class Socket:
    """One user's, in one chat. What its frames mean is for the classes below to say."""

    def __init__(self, world: World, chat: int, name: str, token: str) -> None:
        self._world = world
        self.chat = chat
        self.name = name
        self._token = token
        self.seq = 0
        self.is_live = False
        self._epoch = ""
        self._socket: ClientConnection | None = None
        self.reads = asyncio.Event()
        """Cleared, it is a reader that has stalled."""
        self.reads.set()

    @property
    def _path(self) -> str:
        """Where it connects."""
        raise NotImplementedError

    def _take(self, frame: dict[str, Any]) -> None:
        """See to what came."""
        raise NotImplementedError

    async def _write(self, socket: ClientConnection) -> None:
        """Send, if it sends anything, until the socket closes."""

    async def run(self) -> None:
        """Stay connected until the run is over."""
        attempt, is_first = 0, True
        while not self._world.over.is_set():
            if not is_first:
                self._world.history.reconnects.append((self._world.now, self.name))
            is_first = False
            opened, hint_s = self._world.now, None
            try:
                async with connect(
                    self._address(),
                    additional_headers={"Authorization": f"Bearer {self._token}"},
                    proxy=None,
                    compression=None,
                    open_timeout=ANSWER_S,
                    close_timeout=1,
                    ping_interval=PING_S,
                    ping_timeout=ANSWER_S,
                ) as socket:
                    self._socket = socket
                    hint_s = await self._live(socket)
            except InvalidStatus as refused:
                if refused.response.status_code not in {429, 502, 503, 504}:
                    self._world.odd(self.chat, self.name, f"refused with {refused.response.status_code}")
            except (OSError, InvalidHandshake, EOFError):
                pass  # TimeoutError is an OSError
            finally:
                self._socket, self.is_live = None, False
            if self._world.over.is_set():
                return
            if hint_s is not None or self._world.now - opened > SETTLED_S:
                attempt = 0  # it went well, or was ended politely: no reason to be shy
            jitter_s = random.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**attempt))
            attempt += 1
            await asyncio.sleep((hint_s or 0.0) + jitter_s)

    def _address(self) -> str:
        since = f"{self._epoch}:{self.seq}" if self._epoch else str(self.seq)
        return f"{self._world.url.replace('http', 'ws')}{self._path}?since={urllib.parse.quote(since)}"

    async def _live(self, socket: ClientConnection) -> float | None:
        """Read until it closes; returns how long we are asked to wait, if we were sent away politely."""
        writer = asyncio.create_task(self._write(socket))
        try:
            async for payload in socket:
                self._take(orjson.loads(payload))
                if not self.reads.is_set():
                    await self.reads.wait()
        except ConnectionClosed:
            pass
        finally:
            writer.cancel()
            await asyncio.wait([writer])
        code = socket.close_code
        if code is not None and code >= 4400 and not self._world.over.is_set():
            self._world.odd(self.chat, self.name, f"closed for good with {code} {socket.close_reason}")
        if code == 4000:
            return float(orjson.loads(socket.close_reason or "{}").get("retry_after_ms", 0)) / 1000
        return None

    def _catch_up(self, frame: dict[str, Any]) -> None:
        """Live from now on."""
        self._epoch = frame["epoch"]
        self.is_live = True

    def _deliver(
        self, seq: int, message_id: int, key: str, counts: Counts | None = None, content: Content | None = None
    ) -> None:
        """Note an event that was pushed; `counts` of a reaction, `content` of a message."""
        delivery = Delivery(self._world.now, self.chat, self.name, seq, message_id, key, counts, content)
        self._world.history.deliveries.append(delivery)
        self.seq = max(self.seq, seq)

    def finish(self) -> None:
        """The run is over: note where this client ended, and go."""
        self._world.history.ends[self.chat, self.name] = self.seq
        if not self.is_live:
            self._world.odd(self.chat, self.name, "has not come back")
        if self._socket is not None:
            self._socket.transport.abort()
