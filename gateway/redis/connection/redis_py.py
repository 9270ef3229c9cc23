"""Plain redis-py clients for the auth service, which sends too few commands to need pipelined connections."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from gateway.config.redis_url import ClusterUrl, SentinelUrl, split
from gateway.redis.peers import SCRIPT


@asynccontextmanager
async def open_vendor_clients(url: str, within_s: float) -> AsyncIterator[list[Redis | RedisCluster]]:
    """One client for each shard in the URL, in the same order; none connects before its first command."""
    async with AsyncExitStack() as stack:
        clients: list[Redis | RedisCluster] = []
        for one in split(url):
            cluster = ClusterUrl.parse(one)
            if cluster is None:
                clients.append(await stack.enter_async_context(open_client(one, within_s)))
            else:
                client = _over(cluster)
                stack.push_async_callback(client.aclose)
                clients.append(client)
        yield clients


def asking(client: Redis | RedisCluster, key: str) -> Callable[[str, str, int], Awaitable[Sequence[bytes]]]:
    """The function with which `Peers` runs its script through such a client."""
    script = client.register_script(SCRIPT.source.decode())

    async def ask(*words: str | int) -> Sequence[bytes]:
        answer: Sequence[bytes] = await script([key], list(words))
        return answer

    return ask


def _over(cluster: ClusterUrl) -> RedisCluster:
    seeds = [host.rpartition(":") for host in cluster.hosts]
    nodes = [ClusterNode(host.strip("[]"), int(port)) for host, _, port in seeds]
    return RedisCluster(startup_nodes=nodes, **client_options(cluster.node("")))


@asynccontextmanager
async def open_client(url: str, within_s: float) -> AsyncIterator[Redis]:
    """A client of one Redis. Its Sentinels, if any, are queried first, each with an equal share of `within_s`."""
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
    """The options in a URL, for redis-py clients that cannot be created from a URL."""
    options: dict[str, Any] = dict(parse_url(url))
    options["ssl"] = options.pop("connection_class", None) is SSLConnection
    return options
