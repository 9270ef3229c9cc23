"""What a Redis says about itself, for `chat-gateway doctor`: version, eviction, persistence, clock, rights."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import hiredis

from gateway.config.redis_url import ClusterUrl, split, whereabouts
from gateway.errors import RedisAccessRefused, RedisConnectionLost
from gateway.redis.connection.connection import ServerConnection, pack, refusal_of
from gateway.redis.namespace import Namespace
from gateway.redis.pubsub.subscriber import PLAIN
from gateway.redis.rights import check, needed

READ_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """The answers of one server. `trouble` is why it cannot be used; empty if it can."""

    where: str
    trouble: str = ""
    version: str = ""
    answered_in_s: float = 0
    ahead_s: float = 0
    """How far its clock is ahead of ours."""
    info: dict[str, str] | None = None
    """The fields of INFO; None if its user may not run it."""


async def read_facts(url: str) -> list[RedisFacts]:
    """The facts of each server that REDIS_URL names: shards, servers of a cluster, the master behind Sentinels."""
    servers: list[tuple[str, bool]] = []
    for one in split(url):
        cluster = ClusterUrl.parse(one)
        if cluster is None:
            servers.append((one, True))
        else:
            servers += [(cluster.node(host), False) for host in cluster.hosts]
    return [await _facts(one, checks_rights=checks_rights) for one, checks_rights in servers]


async def _facts(url: str, *, checks_rights: bool) -> RedisFacts:
    """`checks_rights` is False for a server of a cluster, which redirects the commands that the check sends."""
    where = whereabouts(url)
    try:
        stream = await ServerConnection.open(url)
        try:
            started = time.perf_counter()
            await _answers(stream, [("PING",)])
            took_s = time.perf_counter() - started
            info, clock = await _answers(stream, [("INFO",), ("TIME",)])
            ahead_s = 0.0 if isinstance(clock, hiredis.ReplyError) else _seconds(clock) - time.time()
            if checks_rights:
                await check(stream, needed(Namespace("doctor"), PLAIN.publish))
        finally:
            stream.close()
    except RedisAccessRefused as error:
        return RedisFacts(where, error.reason)
    except RedisConnectionLost as error:
        return RedisFacts(where, f"it does not answer ({error})")
    if isinstance(info, hiredis.ReplyError):
        if not refusal_of(str(info)):
            return RedisFacts(where, str(info))
        return RedisFacts(where, answered_in_s=took_s, ahead_s=ahead_s)
    fields = _fields(info)
    name = "Valkey" if fields.get("server_name") == "valkey" else "Redis"
    version = fields.get("valkey_version") or fields.get("redis_version", "")
    return RedisFacts(where, "", f"{name} {version}", took_s, ahead_s, fields)


async def _answers(stream: ServerConnection, commands: Sequence[tuple[str, ...]]) -> list[Any]:
    """The replies, errors included.

    Raises: RedisConnectionLost.
    """
    stream.write(b"".join(pack(*words) for words in commands))
    replies: list[Any] = []
    try:
        async with asyncio.timeout(READ_S):
            while len(replies) < len(commands):
                replies += await stream.read()
    except TimeoutError:
        raise RedisConnectionLost("silent") from None
    return replies


def _seconds(clock: Sequence[bytes]) -> float:
    return int(clock[0]) + int(clock[1]) / 1e6


def _fields(info: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return {name: value for name, separator, value in lines if separator}
