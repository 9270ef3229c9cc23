"""Rates of handshakes over all nodes: a bucket for each key, on Redis' clock. Implements `HandshakeRates`."""

import asyncio
from pathlib import Path
from typing import Final

from gateway.errors import RedisUnavailable
from gateway.interfaces.rate_limits import WINDOW_S
from gateway.redis.connection.command_client import CommandExecutor, Script

ANSWER_S: Final = 0.25
"""A handshake waits this long for Redis; then only its node's own count applies."""

_COUNT = Script(Path(__file__).with_name("handshake_rate.lua"))


class RedisHandshakeRates:
    """The buckets on one Redis or cluster."""

    def __init__(self, link: CommandExecutor) -> None:
        self._link = link

    async def take(self, key: str, per_minute: int) -> float:
        """Implement `HandshakeRates.take`."""
        try:
            async with asyncio.timeout(ANSWER_S):
                wait_us: int = await self._link.run_script(
                    _COUNT, f"handshakes:{key}", per_minute, round(WINDOW_S * 1_000_000)
                )
        except (RedisUnavailable, TimeoutError):
            return 0.0
        return wait_us / 1_000_000
