"""Clients of redis-py, for auth, which asks too little to need links of ours."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode

from gateway.redis.endpoint import client_options, open_client
from gateway.redis_urls import ClusterUrl, split


@asynccontextmanager
async def open_vendor_clients(url: str, within_s: float) -> AsyncIterator[list[Redis | RedisCluster]]:
    """One for each shard that the URL lists, in its order; none connects before it is used. See `open_client`."""
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


def _over(cluster: ClusterUrl) -> RedisCluster:
    seeds = [host.rpartition(":") for host in cluster.hosts]
    nodes = [ClusterNode(host.strip("[]"), int(port)) for host, _, port in seeds]
    return RedisCluster(startup_nodes=nodes, **client_options(cluster.node("")))
