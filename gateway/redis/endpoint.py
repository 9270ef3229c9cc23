"""Which server to connect to: the one that the URL names, or the one that its Sentinels take for the master now.

Invariant: no answer of a Sentinel is kept, each connection asks anew. They may be behind, so who is found must agree.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError

from gateway.sentinel_url import SentinelUrl


async def locate(url: str, within_s: float) -> str:
    """The URL of a server.

    Raises: RedisError, if no Sentinel knows of a master; TimeoutError.
    """
    named = SentinelUrl.parse(url)
    if named is None:
        return url
    async with asyncio.timeout(within_s), _sentinels(named, within_s) as sentinels:
        host, port = await sentinels.discover_master(named.service)
    return named.redis(host, port)


async def expect_master(connection: AbstractConnection) -> None:
    """Refuse a server that was demoted: it hears what others publish, and nobody hears what is published there.

    Raises: RedisError, ReadOnlyError if it is none; OSError.
    """
    await connection.send_command("ROLE")
    role = await connection.read_response()
    if role[0] != b"master":
        raise ReadOnlyError


@asynccontextmanager
async def open_client(url: str, within_s: float) -> AsyncIterator[Redis]:
    """A client of redis-py; within `within_s` its Sentinels, if it has some, are asked before it connects."""
    named = SentinelUrl.parse(url)
    if named is None:
        async with Redis.from_url(url) as redis:
            yield redis
        return
    options: dict[str, Any] = dict(parse_url(named.redis("", 0)))
    options["ssl"] = options.pop("connection_class", None) is SSLConnection
    async with (
        _sentinels(named, within_s) as sentinels,
        sentinels.master_for(named.service, **options) as redis,
    ):
        yield redis


@asynccontextmanager
async def _sentinels(named: SentinelUrl, within_s: float) -> AsyncIterator[Sentinel]:
    """They are asked one after the other: each has its share of the time."""
    share_s = within_s / len(named.hosts)
    options: dict[str, Any] = {"protocol": 2, "socket_connect_timeout": share_s, "socket_timeout": share_s}
    options["retry"] = Retry(NoBackoff(), 0)
    async with Sentinel(()) as sentinels:  # type: ignore[no-untyped-call]
        sentinels.sentinels = [Redis.from_url(url, **options) for url in named.sentinels]
        yield sentinels
