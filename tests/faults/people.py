"""Clients that keep the documented rules: they come back with `since`, back off with full jitter, and resend, under the
same id and before anything newer, what was not acknowledged. They note what they see, and judge nothing."""

import asyncio
import random
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from tests.faults.history import Ack, Attempt, Delivery, History, Oddity, Stored
from tests.faults.mutations import SUFFIX
from tests.faults.rig import User

EDITS, DELETIONS = 0.1, 0.05
"""Shares of what the writers send by WebSocket."""
BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 20.0
SETTLED_S = 5.0
ANSWER_S = 10.0
"""A link that says nothing for this long when something is due is dead (as in the page's client)."""
PING_S = 5.0
PAGE = 200


@dataclass
class World:
    """What all clients of a run share."""

    url: str
    history: History
    random: random.Random
    mean_pause_s: float
    """Between one sender's acknowledged message and its next."""
    started: float = field(default_factory=time.monotonic)
    is_writing: bool = True
    over: asyncio.Event = field(default_factory=asyncio.Event)
    acked_seq: dict[int, int] = field(default_factory=dict)

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    async def pause(self) -> None:
        """What a sender does between two messages."""
        await asyncio.sleep(self.random.expovariate(1 / self.mean_pause_s))

    def odd(self, chat: int, client: str, what: str) -> None:
        """Note something that should not be."""
        self.history.oddities.append(Oddity(self.now, chat, client, what))

    def ack(self, chat: int, key: str, seq: int, message_id: int) -> None:
        """Note an acknowledgement."""
        self.history.acks.append(Ack(self.now, chat, key, seq, message_id))
        self.acked_seq[chat] = max(seq, self.acked_seq.get(chat, 0))


class Sender:
    """A sender's events: one is under way at a time, so that their order is theirs (delivery.md, client rule)."""

    def __init__(self, world: World, chat: int, user: User, name: str) -> None:
        self._world = world
        self.chat = chat
        self.user = user
        self.name = name
        self._count = 0
        self._latest: int | None = None
        """The message to edit or delete."""
        self.under_way: str | None = None
        """The key of what is offered and not acknowledged."""
        self.command: dict[str, object] = {}
        """It as a WebSocket command."""
        self.since = 0.0
        """When it was first offered."""

    def compose(self) -> None:
        """Begin the next message."""
        self._count += 1
        key = f"{self.name}.{self._count}"
        self._begin(key, {"type": "message", "text": key, "client_msg_id": key})

    def compose_anything(self) -> None:
        """Begin the next message, edit or deletion."""
        lot = self._world.random.random()
        if self._latest is None or lot > EDITS + DELETIONS:
            self.compose()
            return
        self._count += 1
        key = f"{self.name}.{self._count}"
        if lot > DELETIONS:
            self._begin(key, {"type": "edit_message", "id": self._latest, "text": key, "client_msg_id": key})
        else:
            self._begin(key, {"type": "delete_message", "id": self._latest, "client_msg_id": key})
            self._latest = None

    def _begin(self, key: str, command: dict[str, object]) -> None:
        self.under_way, self.command, self.since = key, command, self._world.now
        is_deletion = command["type"] == "delete_message"
        self._world.history.attempts.append(Attempt(self.since, self.chat, self.user.id, key, is_deletion))

    def settle(self, key: str, seq: int, message_id: int) -> bool:
        """The event with this key was found stored; False if it is not the one under way."""
        if key != self.under_way:
            return False
        self._world.ack(self.chat, key, seq, message_id)
        if self.command["type"] == "message":
            self._latest = message_id
        self.under_way = None
        return True


class Member:
    """A user's socket in one chat, for as long as the run takes; if `writes`, a sender too."""

    def __init__(self, world: World, chat: int, user: User, *, writes: bool) -> None:
        self._world = world
        self.chat = chat
        self.user = user
        self.name = f"m{user.id}"
        self.sender = Sender(world, chat, user, self.name)
        self._writes = writes
        self.seq = 0
        self.is_live = False
        self._epoch = ""
        self._socket: ClientConnection | None = None
        self._acked = asyncio.Event()
        self._held_until = 0.0
        self.reads = asyncio.Event()
        """Cleared, it is a reader that has stalled."""
        self.reads.set()

    async def run(self) -> None:
        """Stay connected until the run is over."""
        attempt, is_first = 0, True
        while not self._world.over.is_set():
            if not is_first:
                self._world.history.reconnects.append(self._world.now)
            is_first = False
            opened, hint_s = self._world.now, None
            try:
                async with connect(
                    self._address(),
                    additional_headers={"Authorization": f"Bearer {self.user.token}"},
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
        return f"{self._world.url.replace('http', 'ws')}/ws/chat/{self.chat}/?since={urllib.parse.quote(since)}"

    async def _live(self, socket: ClientConnection) -> float | None:
        """Read until it closes; returns how long we are asked to wait, if we were sent away politely."""
        writer = asyncio.create_task(self._write(socket)) if self._writes else None
        try:
            async for payload in socket:
                self._take(orjson.loads(payload))
                if not self.reads.is_set():
                    await self.reads.wait()
        except ConnectionClosed:
            pass
        finally:
            if writer is not None:
                writer.cancel()
                await asyncio.wait([writer])
        code = socket.close_code
        if code is not None and code >= 4400 and not self._world.over.is_set():
            self._world.odd(self.chat, self.name, f"closed for good with {code} {socket.close_reason}")
        if code == 4000:
            return float(orjson.loads(socket.close_reason or "{}").get("retry_after_ms", 0)) / 1000
        return None

    def _take(self, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "message":
                self._take_message(frame["data"], is_answer=frame.get("duplicate") is True)
            case "connection_established":
                self._epoch = frame["epoch"]
            case "caught_up":
                self.is_live = True
            case "reset":
                self._world.odd(self.chat, self.name, f"told to reload: {frame}")
            case "error" if frame["code"] == "unavailable":
                self._held_until = self._world.now + frame.get("retry_after_s", 0)
                self._acked.set()
            case "error":
                self._world.odd(self.chat, self.name, f"{frame}")

    def _take_message(self, message: dict[str, Any], *, is_answer: bool) -> None:
        seq, key = message["seq"], key_of(message)
        if not is_answer:
            delivery = Delivery(self._world.now, self.chat, self.name, seq, message["id"], key)
            self._world.history.deliveries.append(delivery)
            self.seq = max(self.seq, seq)
        if self.sender.settle(key, seq, message["id"]):
            self._acked.set()

    async def _write(self, socket: ClientConnection) -> None:
        try:
            while True:
                if self.sender.under_way is None:
                    await self._world.pause()
                    if not self._world.is_writing:
                        return
                    self.sender.compose_anything()
                self._acked.clear()
                await socket.send(orjson.dumps(self.sender.command).decode())
                async with asyncio.timeout(ANSWER_S):
                    await self._acked.wait()
                await asyncio.sleep(max(0.0, self._held_until - self._world.now))
        except TimeoutError:
            socket.transport.abort()  # it says nothing: come back elsewhere
        except ConnectionClosed:
            pass

    def finish(self) -> None:
        """The run is over: note where this client ended, and go."""
        self._world.history.ends[self.chat, self.name] = self.seq
        if not self.is_live:
            self._world.odd(self.chat, self.name, "has not come back")
        if self._socket is not None:
            self._socket.transport.abort()


class Poster:
    """A user who sends over HTTP alone, with Idempotency-Key."""

    def __init__(self, world: World, chat: int, user: User, http: httpx.AsyncClient) -> None:
        self._world = world
        self._http = http
        self.sender = Sender(world, chat, user, f"h{user.id}")

    async def run(self) -> None:
        """Send until the writing is over, and the last message is acknowledged."""
        attempt = 0
        while self._world.is_writing or self.sender.under_way is not None:
            if self.sender.under_way is None:
                attempt = 0
                await self._world.pause()
                if not self._world.is_writing:
                    return
                self.sender.compose()
            if not await self._post():
                attempt += 1
                await asyncio.sleep(random.uniform(0, min(5.0, BACKOFF_BASE_S * 2**attempt)))

    async def _post(self) -> bool:
        chat, key = self.sender.chat, self.sender.under_way
        assert key is not None
        try:
            answer = await self._http.post(
                f"{self._world.url}/api/v1/chats/{chat}/messages",
                json={"text": key},
                headers={"Authorization": f"Bearer {self.sender.user.token}", "Idempotency-Key": key},
            )
        except httpx.TransportError:
            return False
        if answer.status_code in (200, 201):
            message = answer.json()
            self.sender.settle(key, message["seq"], message["id"])
            return True
        if answer.status_code not in {429, 500, 502, 503, 504}:
            self._world.odd(chat, self.sender.name, f"answered {answer.status_code} {answer.text}")
        return False


def key_of(message: dict[str, Any]) -> str:
    """The key of the event that a message's object tells of."""
    client_msg_id: str = message["client_msg_id"]
    return client_msg_id.partition(SUFFIX)[0]


async def read_history(world: World, http: httpx.AsyncClient, chat: int, user: User) -> None:
    """Read the chat from its first message to its last, as any client can."""
    found: list[Stored] = []
    while True:
        answer = await http.get(
            f"{world.url}/api/v1/chats/{chat}/messages",
            params={"after_seq": found[-1].seq if found else 0, "limit": PAGE},
            headers={"Authorization": f"Bearer {user.token}"},
        )
        answer.raise_for_status()
        page = answer.json()["messages"]
        found += [Stored(m["seq"], m["id"], m["sender"]["id"], key_of(m), m["text"]) for m in page]
        if len(page) < PAGE:
            world.history.reads[chat, f"m{user.id}"] = found
            return
