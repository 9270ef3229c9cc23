"""A cluster's map: which master has which of the 16,384 slots, as one of its servers sees it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.crc import key_slot as slot_of

from gateway.errors import RedisUnavailable
from gateway.redis.link import CALL_S
from gateway.redis.stream import Stream, StreamBroken

SLOTS: Final = 16_384

__all__ = ["SLOTS", "SlotRange", "ask_once", "read_map", "slot_of"]


@dataclass(frozen=True, slots=True)
class SlotRange:
    """Slots, from the first to the last, and their master's `host:port`."""

    first: int
    last: int
    master: str


def read_map(reply: Sequence[Any], asked: str) -> list[SlotRange]:
    """The answer to CLUSTER SLOTS of the server `asked` (`host:port`), which may not know its own host.

    Raises: ValueError if it is none.
    """
    try:
        ranges = []
        for first, last, (host, port, *_), *_ in reply:
            name = host.decode() if host else asked.rpartition(":")[0]
            ranges.append(SlotRange(first, last, f"[{name}]:{port}" if ":" in name.strip("[]") else f"{name}:{port}"))
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"no map: {type(error).__name__}") from error
    return ranges


async def ask_once(url: str, *commands: bytes) -> list[Any]:
    """The answers of a server to which there is no link, over a connection for them alone.

    Raises: RedisUnavailable.
    """
    try:
        stream = await Stream.open(url)
    except StreamBroken:
        raise RedisUnavailable from None
    try:
        stream.write(b"".join(commands))
        replies: list[Any] = []
        async with asyncio.timeout(CALL_S):
            while len(replies) < len(commands):
                replies += await stream.read()
    except (StreamBroken, TimeoutError):
        raise RedisUnavailable from None
    finally:
        stream.close()
    return replies
