"""A cluster's slot map as one of its servers reports it: the master of each of the 16,384 slots."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import hiredis
from redis.crc import key_slot as slot_of

from gateway.errors import RedisAccessRefused, RedisConnectionLost, RedisRefused, RedisUnavailable
from gateway.redis.connection.command_client import CALL_S
from gateway.redis.connection.connection import ServerConnection

SLOTS: Final = 16_384

__all__ = ["SLOTS", "SlotRange", "ask_once", "read_map", "slot_of"]


@dataclass(frozen=True, slots=True)
class SlotRange:
    """Slots, from the first to the last, and their master's `host:port`."""

    first: int
    last: int
    master: str


def read_map(reply: Any, asked: str) -> list[SlotRange]:
    """Parse the reply to CLUSTER SLOTS of the server `asked` (`host:port`), which may not know its own host.

    Raises: ValueError if the reply is not a map, RedisRefused if it is an error.
    """
    if isinstance(reply, hiredis.ReplyError):
        raise RedisRefused(str(reply))
    try:
        ranges = []
        for first, last, (host, port, *_), *_ in reply:
            name = host.decode() if host else asked.rpartition(":")[0]
            ranges.append(SlotRange(first, last, f"[{name}]:{port}" if ":" in name.strip("[]") else f"{name}:{port}"))
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"no map: {type(error).__name__}") from error
    return ranges


async def ask_once(url: str, *commands: bytes) -> list[Any]:
    """The replies of a server without a permanent connection, over a temporary one.

    Raises: RedisUnavailable.
    """
    try:
        stream = await ServerConnection.open(url)
    except RedisAccessRefused as refused:
        raise RedisRefused(str(refused)) from None
    except RedisConnectionLost:
        raise RedisUnavailable from None
    try:
        stream.write(b"".join(commands))
        replies: list[Any] = []
        async with asyncio.timeout(CALL_S):
            while len(replies) < len(commands):
                replies += await stream.read()
    except (RedisConnectionLost, TimeoutError):
        raise RedisUnavailable from None
    finally:
        stream.close()
    return replies
