"""A client of redis-py for a URL that may name Sentinels; `stream` finds a master by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from gateway.sentinel_url import SentinelUrl


@asynccontextmanager
async def open_client(url: str, within_s: float) -> AsyncIterator[Redis]:
    """Within `within_s` its Sentinels, if it has some, are asked before it connects: each has its share of the time."""
    named = SentinelUrl.parse(url)
    if named is None:
        async with Redis.from_url(url) as redis:
            yield redis
        return
    share_s = within_s / len(named.hosts)
    of_sentinels: dict[str, Any] = {"protocol": 2, "socket_connect_timeout": share_s, "socket_timeout": share_s}
    of_sentinels["retry"] = Retry(NoBackoff(), 0)
    async with Sentinel(()) as sentinels:  # type: ignore[no-untyped-call]
        sentinels.sentinels = [Redis.from_url(url, **of_sentinels) for url in named.sentinels]
        async with sentinels.master_for(named.service, **client_options(named.redis("", 0))) as redis:
            yield redis


def client_options(url: str) -> dict[str, Any]:
    """What a URL says, for those clients of redis-py's that are not made from one."""
    options: dict[str, Any] = dict(parse_url(url))
    options["ssl"] = options.pop("connection_class", None) is SSLConnection
    return options
