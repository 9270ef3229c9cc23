"""Checks once per connection that the Redis user has every right that the adapters need.

A command rejected for lack of rights is a configuration error; a node that continued would silently lose a function.
docs/operations.md has the ACL.
"""

import asyncio
from pathlib import Path
from typing import Final

import hiredis

from gateway.errors import RedisAccessRefused, RedisConnectionLost
from gateway.redis.connection.connection import ServerConnection, pack, refusal_of
from gateway.redis.namespace import Namespace

CHECK_S: Final = 2.0
_SCRIPT: Final = (Path(__file__).parent / "rights.lua").read_bytes()


def needed(names: Namespace, publish: str) -> list[bytes]:
    """Every command that the adapters send, packed, each on a key of this system that is not left in Redis."""
    key, member, channel = f"{names.prefix}rights", "x", names.prefix + "rights"
    commands: list[tuple[str | bytes | int, ...]] = [
        ("PING",),
        ("EXISTS", key),
        ("SET", key, 1, "XX", "PX", 1),
        ("GETDEL", key),
        ("PEXPIRE", key, 1),
        ("EXPIRE", key, 1),
        ("HGET", key, member),
        ("HGETALL", key),
        ("ZREM", key, member),
        ("SMEMBERS", key),
        ("SRANDMEMBER", key),
        ("SADD", key, member),
        ("SREM", key, member),
        ("EVALSHA", "0" * 40, 1, key),
        ("EVAL", _SCRIPT, 1, key),
        (publish, channel, b""),
    ]
    return [pack(*words) for words in commands]


async def check(stream: ServerConnection, commands: list[bytes]) -> None:
    """Send the commands; errors other than a lack of rights are ignored.

    Raises: RedisAccessRefused, RedisConnectionLost.
    """
    stream.write(b"".join(commands))
    answers = 0
    try:
        async with asyncio.timeout(CHECK_S):
            while answers < len(commands):
                for reply in await stream.read():
                    answers += 1
                    if isinstance(reply, hiredis.ReplyError) and (reason := refusal_of(str(reply))):
                        raise RedisAccessRefused(str(reply), reason)
    except TimeoutError:
        raise RedisConnectionLost("silent") from None
