"""Seats and views of presence for its tests."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from gateway.errors import RedisUnavailable
from gateway.interfaces.presence import Entered, Seat
from tests.gateway.redis.nodes import Node
from tests.support.servers import RedisServer


def seat(user_id: int, connection_id: str, *, chat_id: int = 1, exclusive: bool = False) -> Seat:
    return Seat(chat_id, user_id, f"user{user_id}", connection_id, exclusive)


async def enter(node: Node, seat: Seat) -> Entered:
    entered = await node.presence.enter(seat)
    assert entered is not None
    return entered


async def users(node: Node, chat_id: int = 1) -> list[int]:
    return [present.user_id for present in await node.presence.members(chat_id)]


async def is_empty(server: RedisServer) -> bool:
    """Whether nothing of any seat is left in Redis."""
    with redis.Redis(port=server.port) as client:
        return not [key for key in client.scan_iter() if key.startswith((b"presence:", b"seats:"))]


async def has_count(node: Node, count: int) -> bool:
    return len(await node.presence.members(1)) == count


async def sees(node: Node, *expected: int) -> bool:
    try:
        return await users(node) == list(expected)
    except RedisUnavailable:
        return False


@contextmanager
def scripts_refused(server: RedisServer) -> Iterator[None]:
    """Redis answers everything but scripts."""
    with redis.Redis(port=server.port) as client:
        client.execute_command("ACL", "SETUSER", "default", "-eval", "-evalsha")
        try:
            yield
        finally:
            client.execute_command("ACL", "SETUSER", "default", "+@all")
