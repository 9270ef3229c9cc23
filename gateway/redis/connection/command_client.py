"""Pipelined commands: all commands of one event loop iteration leave in one write, and replies arrive in order.

Invariants: a call ends within little more than CALL_S, with a reply or RedisUnavailable; the number of pending commands
is bounded; replies wake WAKES_A_TURN tasks in one turn of the event loop, in order; one task owns the connection, and
reconnects until it is cancelled.
"""

import asyncio
import hashlib
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import hiredis
from msgspec import Struct

from gateway.config.redis_url import whereabouts
from gateway.errors import RedisAccessRefused, RedisConnectionLost, RedisRefused, RedisUnavailable
from gateway.redis.connection.connection import ServerConnection, pack, refusal_of
from gateway.tasks import full_jitter, settle

CALL_S = 1.0
MAX_UNDER_WAY = 20_000
WATCH_S = 0.1
WAKES_A_TURN: Final = 32
"""A task that is woken goes on with its work: 193 handshakes whose replies came in one read held the loop for 21 ms."""
REFUSED_S = 15.0
"""How long `refusal` is reported after a command failed for lack of rights.

Leases, probes and clients are renewed more often, so a persisting lack is reported again.
"""

logger = logging.getLogger("gateway.redis")


class Script:
    """A Lua script, read from `file`."""

    def __init__(self, file: Path) -> None:
        self.source = file.read_bytes()
        self.sha = hashlib.sha1(self.source, usedforsecurity=False).hexdigest()  # the argument of EVALSHA

    async def run(self, call: Callable[..., Awaitable[Any]], key: str, *arguments: str | bytes | int) -> Any:
        """Run the script on one key through `call`, which raises the errors of `CommandExecutor.call`."""
        try:
            return await call("EVALSHA", self.sha, 1, key, *arguments)
        except RedisRefused as refused:
            if refused.code != "NOSCRIPT":
                raise
        return await call("EVAL", self.source, 1, key, *arguments)


OnResult = Callable[[Any], None]
"""Called with the result of a script, or with RedisUnavailable in its place."""


def report(on_result: OnResult, result: Any) -> None:
    """Call `on_result`; an exception in it is logged, since the connection serves others."""
    try:
        on_result(result)
    except Exception:
        logger.exception("callback_failed")


class CommandExecutor(Protocol):
    """Sends commands to one Redis, or to a cluster's masters, chosen by the key in each command's first argument."""

    connected: asyncio.Event
    """Set while commands can be sent."""

    def send(self, verb: str, key: str, /, *words: str | bytes | int) -> bool:
        """Send a command and ignore its reply; False if there is no connection. Never blocks."""
        ...

    def call(self, verb: str, key: str, /, *words: str | bytes | int) -> Awaitable[Any]:
        """The reply to a command.

        Raises: RedisUnavailable; its subclass RedisRefused if Redis replied with an error.
        """
        ...

    def run_script(self, script: Script, key: str, /, *arguments: str | bytes | int) -> Awaitable[Any]:
        """The result of a script on one key.

        Raises: RedisUnavailable.
        """
        ...

    def start_script(self, script: Script, on_result: OnResult, key: str, /, *arguments: str | bytes | int) -> None:
        """The same without a task: `on_result` is called once, after this call."""
        ...


class Waiter(Protocol):
    """The receiver of a reply, usually a future."""

    def done(self) -> bool:
        """Whether it no longer waits."""
        ...

    def set_result(self, reply: Any, /) -> None:
        """Receive the reply, which may be a ReplyError."""
        ...

    def set_exception(self, error: BaseException, /) -> None:
        """Receive the error that replaces the reply."""
        ...


class CommandClient:
    """One connection for all commands of a node. `run` is its owner task.

    `on_answered` is called once per read with the seconds that the oldest answered command had waited; `on_turn`
    whenever the connection is made (True) or lost (False). `check` is awaited before a connection is used.
    """

    def __init__(
        self,
        url: str,
        on_answered: Callable[[float], None] = lambda _: None,
        on_turn: Callable[[bool], None] = lambda _: None,
        check: Callable[[ServerConnection], Awaitable[None]] | None = None,
    ) -> None:
        self._url = url
        self._check = check
        self._on_answered = on_answered
        self._on_turn = on_turn
        self._stream: ServerConnection | None = None
        self._under_way: deque[tuple[float, Waiter | None]] = deque()
        self._answered: deque[tuple[asyncio.Future[Any], Any]] = deque()
        """What tasks wait for, with the replies; a few are woken in one turn of the loop."""
        self._unwritten: list[bytes] = []
        self._turn_at = 0.0
        """The time of the loop at the first of the unwritten commands."""
        self._refusals: set[str] = {"NOSCRIPT"}
        self._refusal = ""
        self._is_refused_until = math.inf
        self.connected = asyncio.Event()

    @property
    def is_up(self) -> bool:
        """Whether commands can be sent."""
        return self._stream is not None

    @property
    def refusal(self) -> str:
        """Why Redis rejects the password or rights; empty if it does not, or does not answer."""
        if self._refusal and asyncio.get_running_loop().time() > self._is_refused_until:
            self._refusal = ""
        return self._refusal

    def send(self, *words: str | bytes | int) -> bool:
        """Implement `CommandExecutor.send`."""
        return self.push(pack(*words), None)

    async def call(self, *words: str | bytes | int) -> Any:
        """Implement `CommandExecutor.call`."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self.push(pack(*words), future):
            raise RedisUnavailable
        reply = await future
        if isinstance(reply, hiredis.ReplyError):
            raise RedisRefused(str(reply))
        return reply

    async def run_script(self, script: Script, key: str, *arguments: str | bytes | int) -> Any:
        """Implement `CommandExecutor.run_script`."""
        return await script.run(self.call, key, *arguments)

    def start_script(self, script: Script, on_result: OnResult, key: str, /, *arguments: str | bytes | int) -> None:
        """Implement `CommandExecutor.start_script`."""
        call = _ScriptCall(self, script, on_result, key, arguments)
        if not self.push(pack("EVALSHA", script.sha, 1, key, *arguments), call):
            asyncio.get_running_loop().call_soon(on_result, RedisUnavailable())

    def push(self, command: bytes, waiter: Waiter | None) -> bool:
        """Send a packed command; False if there is no connection or too many are pending. Never blocks."""
        if self._stream is None or len(self._under_way) >= MAX_UNDER_WAY:
            return False
        if not self._unwritten:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._write)
            self._turn_at = loop.time()
        self._unwritten.append(command)
        self._under_way.append((self._turn_at, waiter))
        return True

    def _write(self) -> None:
        commands, self._unwritten = b"".join(self._unwritten), []
        if self._stream is not None and commands:
            try:
                self._stream.write(commands)
            except RedisConnectionLost:
                self._stream.close()  # this also ends the owner task's read

    async def run(self) -> None:
        """Keep the connection open until cancelled."""
        attempt = 0
        while True:
            try:
                stream = await self._open()
            except RedisAccessRefused as error:
                self._note_refusal(error)
                attempt += 1
            except RedisConnectionLost as error:
                if attempt == 0 or self.refusal:
                    logger.warning("redis_unreachable", extra=self._log_fields(error))
                self._refusal = ""
                attempt += 1
            else:
                attempt, self._refusal = 0, ""
                await self._serve(stream)
            await asyncio.sleep(full_jitter(attempt))

    async def _open(self) -> ServerConnection:
        stream = await ServerConnection.open(self._url)
        if self._check is not None:
            try:
                await self._check(stream)
            except BaseException:
                stream.close()
                raise
        return stream

    def _note_refusal(self, error: RedisAccessRefused) -> None:
        """Log once, not at each attempt."""
        if self.refusal != error.reason:
            logger.error("redis_access_refused", extra=self._log_fields(error))
        self._refusal, self._is_refused_until = error.reason, math.inf

    def _log_fields(self, error: Exception) -> dict[str, object]:
        return {"fields": {"error": str(error), "redis": whereabouts(self._url)}}

    async def _serve(self, stream: ServerConnection) -> None:
        self._stream = stream
        self._refusals = {"NOSCRIPT"}
        self.connected.set()
        self._on_turn(True)
        try:
            async with asyncio.TaskGroup() as group:
                watchdog = group.create_task(self._time_out_calls(stream))
                await self._dispatch_replies(stream)
                watchdog.cancel()
        finally:
            self._drop(stream)

    async def _dispatch_replies(self, stream: ServerConnection) -> None:
        """Deliver each reply to its waiter, until the connection breaks."""
        try:
            await stream.serve(self._take)
        except RedisConnectionLost as error:
            logger.warning("redis_link_lost", extra=self._log_fields(error))

    def _take(self, replies: list[Any]) -> bool:
        """Deliver these replies; True if the connection is not usable after them."""
        if self._under_way:
            self._on_answered(asyncio.get_running_loop().time() - self._under_way[0][0])
        is_waking = bool(self._answered)
        is_broken = False
        for reply in replies:
            _, waiter = self._under_way.popleft()
            if isinstance(waiter, asyncio.Future):
                self._answered.append((waiter, reply))
            elif waiter is not None:
                waiter.set_result(reply)
            if isinstance(reply, hiredis.ReplyError) and not self._is_bearable(reply):
                is_broken = True
                break
        if not is_waking:
            self._wake()
        return is_broken

    def _wake(self) -> None:
        for _ in range(min(WAKES_A_TURN, len(self._answered))):
            settle(*self._answered.popleft())
        if self._answered:
            asyncio.get_running_loop().call_soon(self._wake)

    def _is_bearable(self, error: hiredis.ReplyError) -> bool:
        """Whether this connection is still usable after an error reply; logs each code once per connection."""
        code = str(error).partition(" ")[0]
        if code not in self._refusals:
            self._refusals.add(code)
            logger.warning("redis_refused", extra=self._log_fields(error))
        if (refusal := refusal_of(str(error))) != "":
            self._refusal = refusal
            self._is_refused_until = asyncio.get_running_loop().time() + REFUSED_S
        return code != "READONLY"  # demoted to a replica: its host name may already resolve to the new master

    async def _time_out_calls(self, stream: ServerConnection) -> None:
        """Close a connection on which a command is unanswered for CALL_S; one timer serves all commands.

        It closes only at the second check, because after a stall of this event loop the replies may be in the socket
        buffer, still unread.
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

    def _drop(self, stream: ServerConnection) -> None:
        stream.close()
        self._stream = None
        self.connected.clear()
        self._unwritten.clear()
        under_way, self._under_way = self._under_way, deque()
        for _, waiter in under_way:
            if waiter is not None and not waiter.done():
                waiter.set_exception(RedisUnavailable())
        self._on_turn(False)


class _ScriptCall(Struct, gc=False, eq=False):
    """Receives the reply to a script for a callback. Implements `Waiter`."""

    client: CommandClient
    script: Script | None
    """None once it was sent with its text."""
    on_result: OnResult
    key: str
    arguments: Sequence[str | bytes | int]

    def done(self) -> Literal[False]:
        """Implement `Waiter.done`."""
        return False

    def set_result(self, reply: Any, /) -> None:
        """Implement `Waiter.set_result`: a script that Redis does not have is sent again with its text, once."""
        if not isinstance(reply, hiredis.ReplyError):
            report(self.on_result, reply)
            return
        refused, script = RedisRefused(str(reply)), self.script
        if refused.code != "NOSCRIPT" or script is None:
            report(self.on_result, refused)
            return
        self.script = None
        if not self.client.push(pack("EVAL", script.source, 1, self.key, *self.arguments), self):
            report(self.on_result, RedisUnavailable())

    def set_exception(self, error: BaseException, /) -> None:
        """Implement `Waiter.set_exception`."""
        report(self.on_result, error)
