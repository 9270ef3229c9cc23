"""The command link: every command of one turn of the loop leaves in one write, answers come back in order.

Invariants: a call ends within CALL_S and a little, with an answer or RedisUnavailable; what is under way is bounded;
one task owns the connection, and connects again for ever.
"""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import hiredis

from gateway.backoff import full_jitter
from gateway.errors import RedisUnavailable
from gateway.redis.stream import Stream, StreamBroken, pack
from gateway.redis_urls import whereabouts

CALL_S = 1.0
MAX_UNDER_WAY = 20_000
WATCH_S = 0.1

logger = logging.getLogger("gateway.redis")


class RedisRefused(RedisUnavailable):
    """Redis answered with an error: out of memory, read-only, loading … `code` is its first word.

    As far as callers go it is away: a replica or a full Redis today is well again tomorrow, without our doing.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = message.partition(" ")[0]


class Script:
    """A Lua script beside the code."""

    def __init__(self, name: str) -> None:
        self.source = (Path(__file__).parent / f"{name}.lua").read_bytes()
        self.sha = hashlib.sha1(self.source, usedforsecurity=False).hexdigest()  # what EVALSHA wants

    async def run(self, call: Callable[..., Awaitable[Any]], key: str, *arguments: str | bytes | int) -> Any:
        """Its answer over one key, by way of `call`, which raises what `Commands.call` does."""
        try:
            return await call("EVALSHA", self.sha, 1, key, *arguments)
        except RedisRefused as refused:
            if refused.code != "NOSCRIPT":
                raise
        return await call("EVAL", self.source, 1, key, *arguments)


class Commands(Protocol):
    """Where commands go: one Redis, or a cluster's masters, by the key that is each command's first argument."""

    connected: asyncio.Event
    """Not set while no command can be sent."""

    def send(self, *words: str | bytes | int) -> bool:
        """Send a command whose answer nobody needs; False if there is no connection. Never blocks."""
        ...

    async def call(self, *words: str | bytes | int) -> Any:
        """The answer to a command.

        Raises: RedisUnavailable; RedisRefused, which is one, if Redis understood and said no.
        """
        ...

    async def run_script(self, script: Script, key: str, *arguments: str | bytes | int) -> Any:
        """The answer of a script over one key.

        Raises: RedisUnavailable.
        """
        ...


class Waiter(Protocol):
    """Who waits for an answer: mostly a future."""

    def done(self) -> bool:
        """Whether it waits no more."""
        ...

    def set_result(self, reply: Any, /) -> None:
        """The answer, which may be a ReplyError."""
        ...

    def set_exception(self, error: BaseException, /) -> None:
        """There will be none."""
        ...


class Link:
    """One connection for all commands of a node. `run` is its owner task.

    `on_answered` hears, once a read, for how many seconds the oldest command that it answers had waited; `on_turn`,
    whenever the connection is made (True) or lost.
    """

    def __init__(
        self,
        url: str,
        on_answered: Callable[[float], None] = lambda _: None,
        on_turn: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._url = url
        self._on_answered = on_answered
        self._on_turn = on_turn
        self._stream: Stream | None = None
        self._under_way: deque[tuple[float, Waiter | None]] = deque()
        self._unwritten: list[bytes] = []
        self._refusals: set[str] = {"NOSCRIPT"}
        self.connected = asyncio.Event()

    @property
    def is_up(self) -> bool:
        """Whether commands can be sent now."""
        return self._stream is not None

    def send(self, *words: str | bytes | int) -> bool:
        """See `Commands`."""
        return self.push(pack(*words), None)

    async def call(self, *words: str | bytes | int) -> Any:
        """See `Commands`."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self.push(pack(*words), future):
            raise RedisUnavailable
        reply = await future
        if isinstance(reply, hiredis.ReplyError):
            raise RedisRefused(str(reply))
        return reply

    async def run_script(self, script: Script, key: str, *arguments: str | bytes | int) -> Any:
        """See `Commands`."""
        return await script.run(self.call, key, *arguments)

    def push(self, command: bytes, waiter: Waiter | None) -> bool:
        """Send what is packed; False if there is no connection. Never blocks."""
        if self._stream is None or len(self._under_way) >= MAX_UNDER_WAY:
            return False
        loop = asyncio.get_running_loop()
        if not self._unwritten:
            loop.call_soon(self._write)
        self._unwritten.append(command)
        self._under_way.append((loop.time(), waiter))
        return True

    def _write(self) -> None:
        commands, self._unwritten = b"".join(self._unwritten), []
        if self._stream is not None and commands:
            try:
                self._stream.write(commands)
            except StreamBroken:
                self._stream.close()  # the owner's read ends with it

    async def run(self) -> None:
        """Keep the connection for ever."""
        attempt = 0
        while True:
            try:
                stream = await Stream.open(self._url)
            except StreamBroken as error:
                if attempt == 0:
                    logger.warning("redis_unreachable", extra=self._said(error))
                attempt += 1
            else:
                attempt = 0
                await self._serve(stream)
            await asyncio.sleep(full_jitter(attempt))

    def _said(self, error: Exception) -> dict[str, object]:
        return {"fields": {"error": str(error), "redis": whereabouts(self._url)}}

    async def _serve(self, stream: Stream) -> None:
        self._stream = stream
        self._refusals = {"NOSCRIPT"}
        self.connected.set()
        self._on_turn(True)
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch(stream))
                await self._answer(stream)
                watch.cancel()
        finally:
            self._drop(stream)

    async def _answer(self, stream: Stream) -> None:
        """Give answers to whoever waits for them, until the connection breaks."""
        while True:
            try:
                replies = await stream.read()
            except StreamBroken as error:
                logger.warning("redis_link_lost", extra=self._said(error))
                return
            if self._under_way:
                self._on_answered(asyncio.get_running_loop().time() - self._under_way[0][0])
            for reply in replies:
                _, waiter = self._under_way.popleft()
                if waiter is not None and not waiter.done():
                    waiter.set_result(reply)
                if isinstance(reply, hiredis.ReplyError) and not self._is_bearable(reply):
                    return

    def _is_bearable(self, error: hiredis.ReplyError) -> bool:
        """Whether to go on with this connection after an error reply; says it once per kind and connection."""
        code = str(error).partition(" ")[0]
        if code not in self._refusals:
            self._refusals.add(code)
            logger.warning("redis_refused", extra=self._said(error))
        return code != "READONLY"  # demoted to a replica: its name may lead to the new master by now

    async def _watch(self, stream: Stream) -> None:
        """Break a connection that leaves a command unanswered for CALL_S: one timer for all of them.

        Only at the second look: after a stall of our own loop the answers may lie in the socket, still to be read.
        """
        suspect = None
        while True:
            await asyncio.sleep(WATCH_S)
            oldest = self._under_way[0] if self._under_way else None
            if oldest is None or asyncio.get_running_loop().time() - oldest[0] <= CALL_S:
                suspect = None
            elif oldest is suspect:
                stream.close()
            else:
                suspect = oldest

    def _drop(self, stream: Stream) -> None:
        stream.close()
        self._stream = None
        self.connected.clear()
        self._unwritten.clear()
        under_way, self._under_way = self._under_way, deque()
        for _, waiter in under_way:
            if waiter is not None and not waiter.done():
                waiter.set_exception(RedisUnavailable())
        self._on_turn(False)
