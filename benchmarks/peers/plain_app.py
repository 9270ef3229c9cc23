"""The application of the plain peer."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

_sockets: set[WebSocket] = set()


async def _listen() -> None:
    async with Redis.from_url(os.environ["REDIS_URL"], decode_responses=True) as redis, redis.pubsub() as channel:
        await channel.subscribe("room")
        async for message in channel.listen():
            if message["type"] == "message":
                for socket in list(_sockets):
                    await socket.send_text(message["data"])


@asynccontextmanager
async def _lifespan(_: Starlette) -> AsyncIterator[None]:
    listener = asyncio.create_task(_listen())
    yield
    listener.cancel()


async def _serve(socket: WebSocket) -> None:
    await socket.accept()
    _sockets.add(socket)
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        _sockets.discard(socket)


app = Starlette(routes=[WebSocketRoute("/ws", _serve)], lifespan=_lifespan)
