"""One WebSocket for all chats of a user, with the guarantees of docs/delivery.md.

    async with Client("https://chat.example.com", token) as client:
        await client.subscribe(2001)
        await client.send(2001, "Hello")
        async for event in client.events():
            ...

Keeps: what `send` was called with is stored once, in the order of the calls in each chat, whatever happens to
connections and nodes in between; `events` has every event of a subscribed chat once and in order.
"""

import asyncio
import itertools
import json
import logging
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from chat_gateway_client.addresses import socket_url
from chat_gateway_client.chats import MAX_EVENTS, Inbox, Subscription
from chat_gateway_client.errors import RETRIED, RETRY_S, Disconnected, NoToken, Rejected, Unauthorized
from chat_gateway_client.events import Event, Message, Position, Stored, event_in, message_in, stored_in
from chat_gateway_client.reconnect import STABLE_S, UNAUTHORIZED, Delays, hint_in, may_reconnect, rejection
from chat_gateway_client.tokens import Token, TokenSource

logger = logging.getLogger("chat_gateway_client")

OPEN_S: Final = 10.0
REPLY_S: Final = 30.0
"""A command without a reply for so long is sent again over another connection."""
MAX_IN_FLIGHT: Final = 32
"""Commands that wait for their replies; the gateway reads no more than 64 ahead."""
MAX_FRAME: Final = 4 * 1024 * 1024
"""Bytes; a page of history has at most 512 KiB."""


class Client:
    """A connection that renews itself. Use it as a context manager, or call `close`.

    `url` is that of the gateway. `client_id` is a label of this device. At most `max_events` events wait to be read.
    It is of one user: with the token of another it raises Unauthorized, as its commands are the first one's.
    """

    user_id: int | None = None
    """The user; None before the first connection."""
    connected_at: float | None = None
    """Unix time at which the connection was accepted; None without one."""
    close_code: int | None = None
    """That of the last connection that was lost (docs/protocol.md, "Close codes")."""

    def __init__(self, url: str, token: Token, *, client_id: str = "python", max_events: int = MAX_EVENTS) -> None:
        self._url = socket_url(url, client_id)
        self._tokens = TokenSource(token)
        self._inbox = Inbox(max_events)
        self._delays = Delays()
        self._socket: ClientConnection | None = None
        self._is_open = asyncio.Event()
        self._why = "connect"
        self._end: Disconnected | None = None
        self._numbers = itertools.count(1)
        self._replies: dict[int, asyncio.Future[Mapping[str, Any] | None]] = {}
        self._in_flight = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._orders: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._helpers: set[asyncio.Task[None]] = set()
        self._runner: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connect, however long that takes.

        Raises: Unauthorized, Disconnected.
        """
        self._runner = asyncio.create_task(self._run())
        try:
            await self._is_open.wait()
            if self._end is not None:
                raise self._end
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        await self.close()

    async def close(self) -> None:
        """Close the connection; commands that wait raise Disconnected."""
        self._finish(Disconnected(1000, "closed by the application"))
        for task in [self._runner, *self._helpers]:
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        self._runner = None

    def cut(self) -> None:
        """Lose the connection as a network does, for a test of the application; the client connects again."""
        if self._socket is not None:
            self._socket.transport.abort()

    # --- events

    async def events(self) -> AsyncIterator[Event]:
        """Every event of the subscribed chats, and what the gateway tells this user besides. For one consumer.

        Raises: Disconnected, after the last event, unless `close` was called.
        """
        while (event := await self._inbox.next()) is not None:
            for chat_id in self._inbox.behind():
                self._spawn(self._restart(chat_id))
            yield event
        if self._end is not None and self._end.code != 1000:
            raise self._end

    def position(self, chat_id: int) -> Position | None:
        """How far `events` has been given this chat's history: keep it, and `subscribe` with it after a restart."""
        subscription = self._inbox.subscriptions.get(chat_id)
        return None if subscription is None else subscription.position

    async def subscribe(self, chat_id: int, *, since: Position | None = None) -> None:
        """Receive the events of a chat: from now on, or those after `since` first. Lasts over reconnects.

        Raises: Rejected, Disconnected.
        """
        self._inbox.subscriptions[chat_id] = Subscription(since)
        try:
            while not await self._subscribe(chat_id):
                pass  # the connection was lost
        except Rejected:
            self._inbox.subscriptions.pop(chat_id, None)
            raise

    async def unsubscribe(self, chat_id: int) -> None:
        """Receive no more events of a chat.

        Raises: Rejected, Disconnected.
        """
        if self._inbox.subscriptions.pop(chat_id, None) is not None:
            await self.command("unsubscribe", chat_id=chat_id)

    # --- commands

    async def send(self, chat_id: int, text: str, *, client_msg_id: str | None = None, **more: Any) -> Stored:
        """Store a message; returns when it is in the database. `more` are other keys, such as `data` or `reply_to`.

        Waits through outages and limits: give it a bound with `asyncio.timeout`, and repeat it with the same
        `client_msg_id` if the bound is reached. Raises: Rejected, Disconnected.
        """
        return stored_in(await self._in_order("message", chat_id, client_msg_id, text=text, **more))

    async def edit(
        self, chat_id: int, message_id: int, text: str, *, client_msg_id: str | None = None, **more: Any
    ) -> Stored:
        """Edit a message of one's own; otherwise as `send`."""
        fields = {"message_id": message_id, "text": text, **more}
        return stored_in(await self._in_order("edit_message", chat_id, client_msg_id, **fields))

    async def delete(self, chat_id: int, message_id: int, *, client_msg_id: str | None = None) -> Stored:
        """Delete a message; otherwise as `send`."""
        return stored_in(await self._in_order("delete_message", chat_id, client_msg_id, message_id=message_id))

    async def react(
        self, chat_id: int, message_id: int, key: str, *, remove: bool = False, client_msg_id: str | None = None
    ) -> Stored | None:
        """Add a reaction to a message, or remove one's own; None if that changed nothing. Otherwise as `send`."""
        removal = {"remove": True} if remove else {}
        reply = await self._in_order("react", chat_id, client_msg_id, message_id=message_id, key=key, **removal)
        return stored_in(reply) if "seq" in reply else None

    async def read(self, chat_id: int, seq: int) -> None:
        """Everything up to `seq` is read.

        Raises: Rejected, Disconnected.
        """
        await self.command("read_messages", chat_id=chat_id, seq=seq)

    async def typing(self, chat_id: int, *, is_typing: bool = True) -> None:
        """This user is typing, or is no longer.

        Raises: Rejected, Disconnected.
        """
        await self.command("typing", chat_id=chat_id, is_typing=is_typing)

    async def history(
        self, chat_id: int, *, before_seq: int | None = None, after_seq: int | None = None, limit: int = 50
    ) -> list[Message]:
        """A page of messages in ascending order: the last ones, or those before or after a seq.

        Only an empty page is the end. Raises: Rejected, Disconnected.
        """
        bounds = {"before_seq": before_seq, "after_seq": after_seq}
        given = {name: bound for name, bound in bounds.items() if bound is not None}
        reply = await self.command("history", chat_id=chat_id, limit=limit, **given)
        return [message_in(chat_id, data) for data in reply["result"]["messages"]]

    async def command(self, kind: str, **fields: Any) -> Mapping[str, Any]:
        """Send any command of `/ws/{client_id}` and return the frame of its reply.

        It is sent again after a lost connection, `unavailable` and `rate_limited`: it must be one that may be repeated.
        Raises: Rejected, Disconnected.
        """
        async with self._in_flight:
            while True:
                reply = await self._once({"type": kind, **fields})
                if reply is None:
                    continue
                if reply["type"] != "error":
                    return reply
                if reply["code"] not in RETRIED:
                    raise Rejected(reply["code"], reply["message"])
                await asyncio.sleep(reply.get("retry_after_s", RETRY_S))

    async def _in_order(self, kind: str, chat_id: int, client_msg_id: str | None, **fields: Any) -> Mapping[str, Any]:
        """The reply to a command that stores something: one at a time, in the order of the calls."""
        fields |= {"chat_id": chat_id, "client_msg_id": client_msg_id or str(uuid.uuid4())}
        async with self._orders[chat_id]:
            return await self.command(kind, **fields)

    async def _once(self, command: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The reply to one attempt; None if the connection was lost.

        Raises: Disconnected.
        """
        await self._is_open.wait()
        if self._end is not None:
            raise self._end
        socket = self._socket
        if socket is None:
            return None
        number = next(self._numbers)
        reply: asyncio.Future[Mapping[str, Any] | None] = asyncio.get_running_loop().create_future()
        self._replies[number] = reply
        try:
            async with asyncio.timeout(REPLY_S):
                await socket.send(json.dumps({**command, "id": number}, ensure_ascii=False))
                return await reply
        except TimeoutError:
            await socket.close(1001)
        except ConnectionClosed:
            pass
        finally:
            self._replies.pop(number, None)
        if self._socket is socket:  # its reader has not seen the end: a retry would fail again, without end
            self._lose()
        return None

    async def _subscribe(self, chat_id: int) -> bool:
        """Subscribe, or start a subscription again after what the application has; False if the connection was lost.

        Raises: Rejected, Disconnected.
        """
        while (subscription := self._inbox.subscriptions.get(chat_id)) is not None:
            since = {} if subscription.position is None else {"since": str(subscription.position)}
            reply = await self._once({"type": "subscribe", "chat_id": chat_id, **since})
            if reply is None or reply["type"] != "error":
                return reply is not None
            if reply["code"] not in RETRIED:
                raise Rejected(reply["code"], reply["message"])
            await asyncio.sleep(reply.get("retry_after_s", RETRY_S))
        return True

    # --- the connection

    async def _run(self) -> None:
        try:
            while self._end is None:
                await self._delay(*await self._attempt())
        except Exception as error:  # else every command would wait for a connection without end
            logger.exception("the connection of the client failed")
            self._finish(Disconnected(1011, repr(error)))

    async def _attempt(self) -> tuple[int, str, float | None]:
        """Connect, and read until the connection is lost; its close code, reason, and the delay that was asked for."""
        try:
            return *await self._connection(await self._tokens.get(self._why)), None
        except InvalidStatus as error:
            return rejection(error.response)
        except (OSError, InvalidHandshake, TimeoutError, NoToken) as error:
            return 1006, type(error).__name__, None
        finally:
            self._lose()

    async def _delay(self, code: int, reason: str, hint_s: float | None) -> None:
        """Wait until the next attempt, or give up."""
        if code == UNAUTHORIZED and self._tokens.are_renewed and self._why != "rejected":
            self._why = "rejected"
        elif may_reconnect(code):
            await asyncio.sleep(self._delays.next_s(hint_in(reason) if hint_s is None else hint_s))
        else:
            kind = Unauthorized if code == UNAUTHORIZED else Disconnected
            self._finish(kind(code, reason))

    async def _connection(self, token: str) -> tuple[int, str]:
        """One connection from its handshake to its end; its close code and reason."""
        headers = {"Authorization": f"Bearer {token}"}
        async with connect(self._url, additional_headers=headers, open_timeout=OPEN_S, max_size=MAX_FRAME) as socket:
            with suppress(ConnectionClosed):
                if not await self._is_accepted(socket):
                    return UNAUTHORIZED, "the token is not valid, or another user's"
                await self._read(socket)
        self.close_code = socket.close_code or 1006
        return self.close_code, socket.close_reason or ""

    async def _read(self, socket: ClientConnection) -> None:
        """Let commands use the connection, and take what it brings.

        Raises: ConnectionClosed.
        """
        self._socket, self._why = socket, "connect"
        self.connected_at = time.time()
        self._is_open.set()
        stable = asyncio.get_running_loop().call_later(STABLE_S, self._delays.start_anew)
        try:
            for chat_id in self._inbox.subscriptions:
                self._spawn(self._restart(chat_id))
            async for text in socket:
                self._take(json.loads(text))
        finally:
            stable.cancel()

    async def _is_accepted(self, socket: ClientConnection) -> bool:
        """Whether the gateway knows the user, and the same one as before.

        With a token that is not valid, a client is anonymous and not rejected.

        Raises: ConnectionClosed, TimeoutError.
        """
        async with asyncio.timeout(OPEN_S):
            await socket.send('{"type":"hello","id":0}')
            while (frame := json.loads(await socket.recv())).get("id") != 0:
                self._take(frame)
        self.user_id = self.user_id or frame["user_id"]
        return bool(frame["authenticated"] and self.user_id == frame["user_id"])

    def _take(self, frame: Mapping[str, Any]) -> None:
        number, kind = frame.get("id"), frame["type"]
        if isinstance(number, int) and kind in ("ack", "error", "pong", "hello"):
            result = frame.get("result")
            if kind == "ack" and isinstance(result, dict) and "epoch" in result:
                self._inbox.established(frame["chat_id"], result["epoch"], result["last_seq"])
            reply = self._replies.get(number)
            if reply is not None and not reply.done():
                reply.set_result(frame)
        elif kind == "error":
            if frame.get("chat_id") in self._inbox.subscriptions:  # a subscription has ended
                self._spawn(self._restart(frame["chat_id"], frame.get("retry_after_s", RETRY_S)))
        elif kind == "token_expiring":
            if self._tokens.are_renewed:
                self._spawn(self._refresh())
        elif kind != "refreshed":
            self._inbox.put(event_in(frame))

    async def _restart(self, chat_id: int, after_s: float = 0.0) -> None:
        """Subscribe again, unless the connection is lost meanwhile: the next one subscribes to all chats.

        A chat that this user may no longer read is forgotten; `events` says so.
        """
        await asyncio.sleep(after_s)
        try:
            await self._subscribe(chat_id)
        except Rejected as error:
            self._inbox.subscriptions.pop(chat_id, None)
            self._inbox.put(event_in({"type": "chat_removed", "chat_id": chat_id, "code": error.code}))

    async def _refresh(self) -> None:
        """Continue with a new token; if there is none, the gateway ends the connection."""
        await self._once({"type": "refresh", "token": await self._tokens.get("expiring")})

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        async def quietly() -> None:
            with suppress(Disconnected, NoToken):  # the next connection does it, or `events` says that there is none
                await work

        task = asyncio.create_task(quietly())
        self._helpers.add(task)
        task.add_done_callback(self._helpers.discard)

    def _lose(self) -> None:
        """The connection is lost: commands wait for the next one."""
        self._socket = self.connected_at = None
        self._is_open.clear()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_result(None)

    def _finish(self, end: Disconnected) -> None:
        """There will be no other connection."""
        if self._end is None:
            self._end = end
        self._lose()
        self._is_open.set()
        self._inbox.close()
