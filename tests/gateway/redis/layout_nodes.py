"""A node over any layout of Redis."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.redis.backend import Backend, RedisEvents, open_redis
from tests.gateway.redis.nodes import NAMES, Ear
from tests.support.waiting import eventually

LIMIT = 5


@dataclass
class Half:
    """One of the two nodes."""

    rooms: Backend
    ear: Ear
    happened: list[str]


@asynccontextmanager
async def node(url: str, node_id: str) -> AsyncIterator[Half]:
    """Its rooms, once everything of it is up."""
    ear, happened = Ear(), list[str]()
    events = RedisEvents(happened=happened.append)
    async with open_redis(url, NAMES, node_id, messages_per_minute=LIMIT, events=lambda _: events) as rooms:
        rooms.start(ear, ear)
        await eventually(lambda: not rooms.broker.down and not rooms.broker.deaf)
        yield Half(rooms, ear, happened)
