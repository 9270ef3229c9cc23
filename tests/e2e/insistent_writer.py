"""Writes to chats while nodes and what hears of it fail."""

import asyncio
import uuid
from contextlib import suppress

import httpx

from tests.support.cluster import Cluster, User


async def write(cluster: Cluster, chats: list[int], user: User, is_over: asyncio.Event) -> None:
    """Send messages through both nodes until it is over; a call that fails is repeated with the same key."""
    turn = 0
    async with httpx.AsyncClient(timeout=5) as http:
        while not is_over.is_set():
            turn += 1
            headers = user.headers | {"Idempotency-Key": uuid.uuid4().hex}
            for attempt in range(20):
                node = cluster.nodes[(turn + attempt) % len(cluster.nodes)]
                url = f"{node.url}/api/v1/chats/{chats[turn % len(chats)]}/messages"
                with suppress(httpx.HTTPError):
                    if (await http.post(url, json={"text": f"{turn}"}, headers=headers)).status_code < 300:
                        break
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.02)


async def change(cluster: Cluster, chats: list[int], owner: User, other: User, is_over: asyncio.Event) -> None:
    """Add a member, rename the chat, remove the member and so on, through both nodes. A call that fails is left out."""
    turn = 0
    async with httpx.AsyncClient(timeout=5, headers=owner.headers) as http:
        while not is_over.is_set():
            url = f"{cluster.nodes[turn % len(cluster.nodes)].url}/api/v1/chats/{chats[turn % len(chats)]}"
            with suppress(httpx.HTTPError):
                await http.post(f"{url}/members", json={"user_id": other.id})
                await http.patch(url, json={"title": f"{turn}"})
                await http.delete(f"{url}/members/{other.id}")
            turn += 1
            await asyncio.sleep(0.02)
