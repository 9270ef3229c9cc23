"""A node's lease: the one key that says that it lives, whatever number of seats it holds."""

from gateway.errors import RedisUnavailable
from gateway.redis.link import Link

LEASE_S = 15.0
INTERVAL_S = 5.0
NODES = "nodes"


def lease_key(node: str) -> str:
    """Lives as long as the node."""
    return f"lease:{node}"


def chats_key(node: str) -> str:
    """The chats in which the node has seats."""
    return f"seats:{node}"


def swept_key(node: str) -> str:
    """Set where others took the node for dead and told its users' leaving."""
    return f"swept:{node}"


class Lease:
    """This node's lease, and the question whether another's still runs."""

    def __init__(self, link: Link, node_id: str, *, lease_s: float = LEASE_S, interval_s: float = INTERVAL_S) -> None:
        self._link = link
        self._node_id = node_id
        self._lease_ms = round(lease_s * 1000)
        self._is_known = False
        self._is_shortened = False
        self.interval_s = interval_s

    async def renew(self) -> bool:
        """Extend the lease; True if it had been lost since the last time (or this is the first)."""
        if self._is_shortened:
            return False
        try:
            before = await self._link.call("SET", lease_key(self._node_id), 1, "PX", self._lease_ms, "GET")
            if before is None or not self._is_known:
                await self._link.call("SADD", NODES, self._node_id)
        except RedisUnavailable:
            return False
        was_lost, self._is_known = before is None or not self._is_known, True
        return was_lost

    def forget(self) -> None:
        """Let the next renewal count as the first."""
        self._is_known = False

    async def shorten(self, seconds: float) -> None:
        """Let it run out soon, and extend it no more."""
        self._is_shortened = True
        try:
            await self._link.call("PEXPIRE", lease_key(self._node_id), max(1, round(seconds * 1000)))
        except RedisUnavailable:
            return  # then it runs out by itself

    async def is_alive(self, node: str) -> bool:
        """Whether that node's lease runs.

        Raises: RedisUnavailable.
        """
        return bool(await self._link.call("EXISTS", lease_key(node)))
