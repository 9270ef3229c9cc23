"""A node's lease: the single key that keeps all of the node's seats alive, however many it holds.

Invariants: a lost or abandoned lease is never renewed; the node takes another one, with another name. So a sweeper of a
dead lease cannot delete seats that the same node has asserted again. A lease exists before its name is published, as
otherwise other nodes would consider the node dead.
"""

import asyncio

from gateway.redis.connection.command_client import CommandExecutor

LEASE_S = 15.0
INTERVAL_S = 5.0
BACKSTOP_S = 24 * 3600
"""After this many seconds without any node the shared sets expire."""
NODES = "nodes"


def lease_key(node: str) -> str:
    """The key of the lease with this name."""
    return f"lease:{node}"


def node_of(name: str) -> str:
    """The node id in a lease's name."""
    return name.rpartition(".")[0]


def chats_key(node: str) -> str:
    """The key of the set of chats in which the node has seats."""
    return f"seats:{node}"


def swept_key(node: str) -> str:
    """The key that is set when other nodes considered the node dead and announced that its users left."""
    return f"swept:{node}"


class Lease:
    """This node's lease, and the lookup of other nodes' leases."""

    def __init__(
        self, link: CommandExecutor, node_id: str, *, lease_s: float = LEASE_S, interval_s: float = INTERVAL_S
    ) -> None:
        self._link = link
        self._node_id = node_id
        self._lease_ms = round(lease_s * 1000)
        self._term = 1
        self._is_held = False
        self._is_shortened = False
        self.interval_s = interval_s
        self.is_abandoned = False
        """Whether seats with this lease's name were left to the sweepers."""
        self.name = self._name(self._term)
        """The name that this node's seats carry."""
        self.lost: set[str] = set()
        """The names of lost leases, until all of the node's seats carry the current name."""

    def _name(self, term: int) -> str:
        return f"{self._node_id}.{term}"

    async def renew(self) -> bool:
        """Extend the lease; False if there was none or it was lost, and a new one was taken.

        Raises: RedisUnavailable.
        """
        if self._is_shortened:
            return True
        if self._is_held and not self.is_abandoned:
            kept = await self._link.call("SET", lease_key(self.name), 1, "XX", "PX", self._lease_ms)
            if kept is not None or self._is_shortened:
                self._link.send("SADD", NODES, self.name)  # this key alone may have been lost
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
        """Take another lease at the next renewal; the sweepers then clear the seats with this lease's name."""
        self.is_abandoned = True

    async def shorten(self, seconds: float) -> None:
        """Make the lease expire in `seconds`, and stop renewing it.

        Raises: RedisUnavailable; the lease then expires after its normal time.
        """
        self._is_shortened = True
        await self._link.call("PEXPIRE", lease_key(self.name), max(1, round(seconds * 1000)))

    async def alive(self, nodes: set[str]) -> set[str]:
        """The nodes whose lease has not expired; this node always counts as alive.

        Raises: RedisUnavailable.
        """
        others = sorted(nodes - {self.name})
        exists = await asyncio.gather(*(self._link.call("EXISTS", lease_key(node)) for node in others))
        return {node for node, is_there in zip(others, exists, strict=True) if is_there} | (nodes & {self.name})
