"""The traffic of the queue: guests who listen in rooms and publishers to them."""

import asyncio
import random
from contextlib import suppress
from typing import Any

import aio_pika
import httpx
import orjson
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.faults.history import QUEUE, Attempt, Stored
from tests.faults.people import key_of
from tests.faults.rig import Room
from tests.faults.sockets import ANSWER_S, BACKOFF_BASE_S, Socket
from tests.faults.world import World

CONFIRM_S = 5.0
TRIES = 3


class Listener(Socket):
    """A guest in a room."""

    def __init__(self, world: World, room: Room, number: int) -> None:
        super().__init__(world, room.chat, f"g{room.chat}-{number}", room.tokens[number])
        self._room = room

    @property
    def _path(self) -> str:
        return f"/updates/{self._room.name}"

    def _take(self, frame: dict[str, Any]) -> None:
        match frame.get("type"):
            case None:
                self._deliver(frame["seq"], frame["id"], key_of(frame))
            case "caught_up":
                self._catch_up(frame)
            case _:
                self._world.odd(self.chat, self.name, f"{frame}")


class Feeder:
    """Hands messages for a room in: to the queue as any AMQP client does, or by POST; again, until they are taken."""

    def __init__(self, world: World, room: Room, http: httpx.AsyncClient, *, amqp_url: str = "") -> None:
        self._world = world
        self._room = room
        self._http = http
        self._amqp_url = amqp_url
        self._connection: AbstractConnection | None = None
        self._count = 0

    async def run(self) -> None:
        """Hand in until the writing is over, and the last message is taken."""
        try:
            while True:
                await self._world.pause()
                if not self._world.is_writing:
                    return
                self._count += 1
                key = f"q{self._room.chat}{'a' if self._amqp_url else 'p'}.{self._count}"
                self._world.history.attempts.append(Attempt(self._world.now, self._room.chat, QUEUE, key))
                attempt = 0
                while not await (self._publish(key) if self._amqp_url else self._post(key)):
                    attempt += 1
                    await asyncio.sleep(random.uniform(0, min(5.0, BACKOFF_BASE_S * 2**attempt)))
                self._world.accept(self._room.chat, key)
        finally:
            await self._close()

    def _body(self, key: str) -> dict[str, str]:
        return {"room_id": self._room.name, "content": key, "client_msg_id": key}

    async def _publish(self, key: str) -> bool:
        message = aio_pika.Message(orjson.dumps(self._body(key)), delivery_mode=2)
        try:
            async with asyncio.timeout(CONFIRM_S):
                if self._connection is None:
                    self._connection = await aio_pika.connect(self._amqp_url)
                    self._channel = await self._connection.channel()
                await self._channel.default_exchange.publish(message, "messages")
        except (AMQPError, OSError, RuntimeError):  # the last is aiormq's of a connection that is closing
            await self._close()
            return False
        return True

    async def _close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(AMQPError, OSError, RuntimeError):
                async with asyncio.timeout(1):
                    await connection.close()

    async def _post(self, key: str) -> bool:
        try:
            answer = await self._http.post(f"{self._world.url}/message", json=self._body(key))
        except httpx.TransportError:
            return False
        if answer.status_code not in {200, 429, 500, 502, 503, 504}:
            self._world.odd(self._room.chat, "poster", f"answered {answer.status_code} {answer.text}")
        return answer.status_code == 200


async def read_room(world: World, room: Room) -> None:
    """Read the room from its first message on, as a guest who comes with `since=0`."""
    found: list[Stored] = []
    url = f"{world.url.replace('http', 'ws')}/updates/{room.name}?since=0"
    headers = {"Authorization": f"Bearer {room.tokens[0]}"}
    for _ in range(TRIES):
        with suppress(WebSocketException, OSError):
            async with asyncio.timeout(ANSWER_S), connect(url, additional_headers=headers, proxy=None) as socket:
                found.clear()
                while (frame := orjson.loads(await socket.recv())).get("type") is None:
                    key = key_of(frame)
                    found.append(Stored(frame["seq"], frame["id"], QUEUE, key, frame["content"]))
                break
        await asyncio.sleep(1)
    world.history.reads[room.chat, "guest"] = found
