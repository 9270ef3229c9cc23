"""A node's lease: the one key that says that it lives, whatever number of seats it holds.

Invariants: a lease that was lost, or abandoned, never comes back; the node takes another one, with another name. So
whoever clears what a dead lease left behind cannot hit what the same node has asserted anew. No name is known to others
before its lease is there: they would take the node for dead.
"""

import asyncio

from gateway.redis.link import Commands

LEASE_S = 15.0
INTERVAL_S = 5.0
BACKSTOP_S = 24 * 3600
"""When the lists of a system without any node left go away."""
NODES = "nodes"


def lease_key(node: str) -> str:
    """Lives as long as the lease of this name."""
    return f"lease:{node}"


def node_of(name: str) -> str:
    """The id of the node that a lease of this name is, or was."""
    return name.rpartition(".")[0]


def chats_key(node: str) -> str:
    """The chats in which the node has seats."""
    return f"seats:{node}"


def swept_key(node: str) -> str:
    """Set where others took the node for dead and told its users' leaving."""
    return f"swept:{node}"


class Lease:
    """This node's lease, and the question whether others' still run."""

    def __init__(
        self, link: Commands, node_id: str, *, lease_s: float = LEASE_S, interval_s: float = INTERVAL_S
    ) -> None:
        self._link = link
        self._node_id = node_id
        self._lease_ms = round(lease_s * 1000)
        self._term = 1
        self._is_held = False
        self._is_shortened = False
        self.interval_s = interval_s
        self.is_abandoned = False
        """Whether seats were left under this name for the sweepers."""
        self.name = self._name(self._term)
        """What this node's seats bear."""
        self.lost: set[str] = set()
        """The names of leases that were lost, until all of the node's seats bear the present one's."""

    def _name(self, term: int) -> str:
        return f"{self._node_id}.{term}"

    async def renew(self) -> bool:
        """Extend the lease; False if there was none (any more): it is a new one from now on.

        Raises: RedisUnavailable.
        """
        if self._is_shortened:
            return True
        if self._is_held and not self.is_abandoned:
            kept = await self._link.call("SET", lease_key(self.name), 1, "XX", "PX", self._lease_ms)
            if kept is not None or self._is_shortened:
                self._link.send("SADD", NODES, self.name)  # that one key may have been lost by itself
                for key in (NODES, chats_key(self.name)):
                    self._link.send("EXPIRE", key, BACKSTOP_S)
                return True
        name = self._name(self._term + 1) if self._is_held else self.name
        await self._link.call("SET", lease_key(name), 1, "PX", self._lease_ms)
        if self._is_held:
            self.lost.add(self.name)
            self._term += 1
        self.name, self._is_held, self.is_abandoned = name, True, False
        self._link.send("SADD", NODES, name)
        self._link.send("EXPIRE", NODES, BACKSTOP_S)
        return False

    def abandon(self) -> None:
        """Take another lease at the next renewal: what bears this one's name is then for the sweepers to clear."""
        self.is_abandoned = True

    async def shorten(self, seconds: float) -> None:
        """Let it run out soon, and extend it no more.

        Raises: RedisUnavailable (it then runs out by itself).
        """
        self._is_shortened = True
        await self._link.call("PEXPIRE", lease_key(self.name), max(1, round(seconds * 1000)))

    async def alive(self, nodes: set[str]) -> set[str]:
        """Those whose lease runs; this node is alive by definition.

        Raises: RedisUnavailable.
        """
        others = sorted(nodes - {self.name})
        found = await asyncio.gather(*(self._link.call("EXISTS", lease_key(node)) for node in others))
        return {node for node, is_there in zip(others, found, strict=True) if is_there} | (nodes & {self.name})
