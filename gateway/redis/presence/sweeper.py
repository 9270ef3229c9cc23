"""Clears the seats of dead nodes, and notifies that their users left.

Every node looks for expired leases; one of them sweeps, and if it dies meanwhile, another one resumes the sweep.

Redis serves no other client during a script, so a sweep goes in steps of a few milliseconds: many small chats at a
time, or a part of a large one.
"""

import asyncio
import logging
import random

from gateway.errors import RedisUnavailable
from gateway.interfaces.presence import PresenceListener
from gateway.redis.connection.command_client import CommandExecutor
from gateway.redis.connection.events import RedisEvents
from gateway.redis.presence.lease import NODES, Lease, chats_key, swept_key
from gateway.redis.presence.table import Cleared, SeatTable

INTERVAL_S = 5.0
CLAIM_MS = 20_000
"""After this time another node may sweep as well, which is harmless."""
SWEPT_S = 3600
"""How long a node may be absent and still find out that it was swept."""
CHATS = 50
"""Chats in one step, with up to FEW users each."""
FEW = 16
MANY = 200
"""Users of one chat in one step: 7 µs of Redis each."""
END = "0"

logger = logging.getLogger("gateway.redis")


class Sweeper:
    """`run` is its owner task."""

    def __init__(
        self,
        link: CommandExecutor,
        lease: Lease,
        table: SeatTable,
        events: RedisEvents,
        *,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._link = link
        self._lease = lease
        self._table = table
        self._events = events
        self._interval_s = interval_s

    async def run(self, listener: PresenceListener) -> None:
        """Look for dead nodes until cancelled."""
        while True:
            await asyncio.sleep(self._interval_s * random.uniform(0.9, 1.0))  # noqa: S311 - spreads load
            try:
                known = {node.decode() for node in await self._link.call("SMEMBERS", NODES)}
                # This node is about to assert the seats of its own lost leases, whose users have not left.
                for node in known - await self._lease.alive(known) - self._lease.lost:
                    await self._sweep(node, listener)
            except RedisUnavailable:
                continue

    async def _sweep(self, node: str, listener: PresenceListener) -> None:
        if await self._link.call("SET", f"sweeping:{node}", self._lease.name, "NX", "PX", CLAIM_MS) is None:
            return  # another node is sweeping
        logger.warning("node_swept", extra={"fields": {"dead_node": node}})
        self._events.happened("node_swept")
        # If the node was only slow, it must find out that its users were announced as gone.
        await self._link.call("SET", swept_key(node), 1, "EX", SWEPT_S)
        while chats := [int(chat) for chat in await self._link.call("SRANDMEMBER", chats_key(node), CHATS)]:
            begun = await asyncio.gather(*(self._table.clear_some(chat_id, node, END, FEW) for chat_id in chats))
            for chat_id, cleared in zip(chats, begun, strict=True):
                await self._finish(chat_id, node, cleared, listener)
            await self._link.call("SREM", chats_key(node), *chats)
        await self._link.call("SREM", NODES, node)

    async def _finish(self, chat_id: int, node: str, cleared: Cleared, listener: PresenceListener) -> None:
        """Notify of what the first step cleared, and take the other steps."""
        while True:
            for user_id, username in cleared.gone:
                listener.on_gone(chat_id, user_id, username, cleared.count)
            if cleared.cursor == END:
                return
            cleared = await self._table.clear_some(chat_id, node, cleared.cursor, MANY)
