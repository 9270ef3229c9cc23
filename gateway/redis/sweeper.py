"""Clears what dead nodes left behind, and tells that their users are gone.

Every node looks for expired leases; one of them sweeps, and if it dies over it, another one begins again where it was.
"""

import asyncio
import logging
import random

from gateway.errors import RedisUnavailable
from gateway.presence import PresenceListener
from gateway.redis.events import RedisEvents
from gateway.redis.lease import NODES, Lease, chats_key, swept_key
from gateway.redis.link import Commands
from gateway.redis.seat_table import SeatTable

INTERVAL_S = 5.0
CLAIM_MS = 20_000
"""After this time without an end another node may sweep too; that both do is harmless."""
SWEPT_S = 3600
"""How long a node may be absent and still learn that it was swept."""
BATCH = 200

logger = logging.getLogger("gateway.redis")


class Sweeper:
    """`run` is its owner task."""

    def __init__(
        self, link: Commands, lease: Lease, table: SeatTable, events: RedisEvents, *, interval_s: float = INTERVAL_S
    ) -> None:
        self._link = link
        self._lease = lease
        self._table = table
        self._events = events
        self._interval_s = interval_s

    async def run(self, listener: PresenceListener) -> None:
        """Look for dead nodes for ever."""
        while True:
            await asyncio.sleep(self._interval_s * random.uniform(0.9, 1.0))  # noqa: S311 - spreads load
            try:
                known = {node.decode() for node in await self._link.call("SMEMBERS", NODES)}
                # What this node lost itself is about to bear its new name, and its users have not left.
                for node in known - await self._lease.alive(known) - self._lease.lost:
                    await self._sweep(node, listener)
            except RedisUnavailable:
                continue

    async def _sweep(self, node: str, listener: PresenceListener) -> None:
        if await self._link.call("SET", f"sweeping:{node}", self._lease.name, "NX", "PX", CLAIM_MS) is None:
            return  # another node is at it
        logger.warning("node_swept", extra={"fields": {"dead_node": node}})
        self._events.happened("node_swept")
        # The node may merely have been slow: it must learn that its users' leaving was told.
        await self._link.call("SET", swept_key(node), 1, "EX", SWEPT_S)
        while chats := [int(chat) for chat in await self._link.call("SRANDMEMBER", chats_key(node), BATCH)]:
            await asyncio.gather(*(self._sweep_chat(chat_id, node, listener) for chat_id in chats))
            await self._link.call("SREM", chats_key(node), *chats)
        await self._link.call("SREM", NODES, node)

    async def _sweep_chat(self, chat_id: int, node: str, listener: PresenceListener) -> None:
        count, gone = await self._table.clear(chat_id, node)
        for user_id, username in gone:
            listener.on_gone(chat_id, user_id, username, count)
