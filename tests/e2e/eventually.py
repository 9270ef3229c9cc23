"""Waiting for a condition to become true."""

import asyncio

import httpx

from tests.support.cluster import Cluster


async def is_ready(cluster: Cluster, *, redis: str = "up", database: str = "up") -> bool:
    """Whether all nodes are ready, and say this of the two."""
    async with httpx.AsyncClient() as http:
        for node in cluster.nodes:
            answer = await http.get(f"{node.url}/readyz")
            report = answer.json()
            if answer.status_code != 200 or (report["redis"], report["database"]) != (redis, database):
                return False
    return True


async def soon(cluster: Cluster, within_s: float = 10, **state: str) -> None:
    """Return once the nodes say so."""
    async with asyncio.timeout(within_s):
        while not await is_ready(cluster, **state):
            await asyncio.sleep(0.05)
