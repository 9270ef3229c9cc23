"""A conversation in one chat: sends lines in their order, shows what others say, and continues after a lost connection.

Each line has an id of its own and waits for its acknowledgement before the next is sent: after a lost connection it is
sent again and stored once. A new connection starts at the position of the last event that was shown.
"""

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from gateway.errors import CommandError

OPEN_S: Final = 10.0
LONGEST_DELAY_S: Final = 10.0
HISTORY: Final = 20
"""Earlier messages that are shown at the start."""
MAX_FRAME: Final = 4 * 1024 * 1024
_UNAUTHORIZED: Final = 4401
_FINAL: Final = range(4400, 5000)
_RETRIED: Final = frozenset({"unavailable", "rate_limited", "slow_mode"})
_NEVER: Final = {
    4403: "You are not a member of this chat any more.",
    4408: "You are banned.",
    4409: "You have opened this chat somewhere else, which replaced this connection.",
}


class TokenGetter(Protocol):
    """Returns an access token; another one if the last was rejected."""

    def __call__(self, *, is_rejected: bool = False) -> Awaitable[str]:
        """Raises: CommandError."""
        ...


class Talk:
    """`url` is the WebSocket URL of the chat, `login` that of the user; `say` shows a line."""

    def __init__(self, url: str, login: str, token: TokenGetter, say: Callable[[str], None]) -> None:
        self._url = url
        self._login = login
        self._token = token
        self._say = say
        self._epoch = ""
        self._seq = 0
        self._sent: set[str] = set()
        """The ids of the lines of this terminal, which are not shown again."""
        self._unacknowledged: tuple[str, str] | None = None
        """The id and the text of the line that is being sent."""
        self._reply: asyncio.Future[Mapping[str, Any]] | None = None
        self._socket: ClientConnection | None = None
        self._is_open = asyncio.Event()

    async def run(self, lines: AsyncIterator[str]) -> None:
        """Talk until the lines end and the last one is acknowledged.

        Raises: CommandError.
        """
        async with asyncio.TaskGroup() as group:
            receiving = group.create_task(self._receive())
            async for line in lines:
                await self._send(line)
            receiving.cancel()

    async def _send(self, text: str) -> None:
        self._unacknowledged = (str(uuid.uuid4()), text)
        self._sent.add(self._unacknowledged[0])
        while self._unacknowledged is not None:
            reply = await self._once(*self._unacknowledged)
            if reply is None:
                continue
            if reply["type"] == "error" and reply["code"] in _RETRIED:
                wait_s = float(reply.get("retry_after_s", 1))
                self._say(f"* {reply['message']}: sending again in {wait_s:.0f} s.")
                await asyncio.sleep(wait_s)
                continue
            if reply["type"] == "error":
                self._say(f"* Not sent: {reply['message']}")
            self._unacknowledged = None

    async def _once(self, client_msg_id: str, text: str) -> Mapping[str, Any] | None:
        """The reply to one attempt; None if the connection was lost."""
        await self._is_open.wait()
        socket, self._reply = self._socket, asyncio.get_running_loop().create_future()
        if socket is None:
            return None
        try:
            await socket.send(json.dumps({"type": "message", "text": text, "client_msg_id": client_msg_id}))
            return await self._reply
        except ConnectionClosed:
            self._lose()  # now: else this would be tried again before `_receive` has its turn
            return None
        except ConnectionResetError:
            return None

    async def _receive(self) -> None:
        """Connect, and connect again, until it is of no use."""
        attempt, was_rejected = 0, False
        while True:
            code, was_connected = await self._connection(await self._token(is_rejected=was_rejected))
            self._lose()
            if code == _UNAUTHORIZED and (was_connected or not was_rejected):
                was_rejected = True
                continue
            if code in _FINAL:
                raise CommandError(_NEVER.get(code, f"The connection was closed with {code} (docs/protocol.md)."))
            was_rejected = False
            attempt = 0 if was_connected else attempt + 1
            if attempt <= 1:
                self._say("* The connection is lost; trying again …")
            await asyncio.sleep(random.uniform(0, min(LONGEST_DELAY_S, 0.5 * 2**attempt)))  # noqa: S311 - spreads load

    async def _connection(self, token: str) -> tuple[int, bool]:
        """One connection from its handshake to its end; its close code, and whether it was accepted."""
        since = f"?since={self._epoch}:{self._seq}" if self._epoch else ""
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with connect(
                self._url + since, additional_headers=headers, open_timeout=OPEN_S, max_size=MAX_FRAME
            ) as socket:
                with suppress(ConnectionClosed):
                    await self._read(socket)
                return socket.close_code or 1006, True
        except InvalidStatus as error:
            status = error.response.status_code
            return {401: _UNAUTHORIZED, 403: 4403, 409: 4409}.get(status, 1006), False
        except (OSError, InvalidHandshake, TimeoutError):
            return 1006, False

    async def _read(self, socket: ClientConnection) -> None:
        """Raises: ConnectionClosed."""
        greeting = json.loads(await socket.recv())
        if not self._epoch:
            self._epoch, self._seq = greeting["epoch"], greeting["last_seq"]
            await self._ask_history(socket)
            self._say("* Connected. Type a line and press Enter; Ctrl+D ends.")
        else:
            self._say("* Connected again.")
        self._socket = socket
        self._is_open.set()
        async for text in socket:
            await self._take(socket, json.loads(text))

    async def _ask_history(self, socket: ClientConnection) -> None:
        """Ask for the last messages up to the present position; later ones are pushed."""
        await socket.send(json.dumps({"type": "history", "before_seq": self._seq + 1, "limit": HISTORY}))

    async def _take(self, socket: ClientConnection, frame: Mapping[str, Any]) -> None:
        match frame["type"]:
            case "message":
                self._message(frame["data"])
            case "reaction":
                self._seq = max(self._seq, frame.get("seq", 0))
            case "history":
                for message in frame["messages"]:
                    self._show(message)
            case "presence" if frame["username"] != self._login:
                self._say(f"* {frame['username']} {'is here' if frame['status'] == 'join' else 'left'}.")
            case "reset":  # a restored backup
                self._epoch, self._seq = frame["epoch"], frame["last_seq"]
                self._say("* The history is another one now:")
                await self._ask_history(socket)
            case "error":
                self._answer(frame)

    def _message(self, message: Mapping[str, Any]) -> None:
        self._seq = max(self._seq, message["seq"])
        client_msg_id = message.get("client_msg_id")
        if self._unacknowledged is not None and client_msg_id == self._unacknowledged[0]:
            self._answer({"type": "message"})
        if client_msg_id not in self._sent:
            self._show(message)

    def _answer(self, frame: Mapping[str, Any]) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(frame)

    def _show(self, message: Mapping[str, Any]) -> None:
        name = message["sender"]["username"]
        if message["is_deleted"]:
            self._say(f"* A message of {name} was deleted.")
        else:
            edited = " (edited)" if message["is_edited"] else ""
            self._say(f"{name}{edited}: {message['text']}")

    def _lose(self) -> None:
        self._socket = None
        self._is_open.clear()
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(ConnectionResetError())
