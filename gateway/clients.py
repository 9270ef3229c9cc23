"""Seam: which client_ids are connected where, and whose they are. `gateway.redis.clients` meets it."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Bearer:
    """One socket that bears a client_id, since `connected_at` (Unix seconds); `user_id` None: nobody knows whose."""

    client_id: str
    user_id: int | None
    connection_id: str
    connected_at: int


@dataclass(frozen=True, slots=True)
class ConnectedClient:
    """A client_id that a user's socket bears, and the node that it is on."""

    client_id: str
    node_id: str
    connected_at: int


class Clients(Protocol):
    """Entries live no longer than their node does; a client_id is a label that any number of sockets may bear."""

    def arrive(self, bearer: Bearer) -> None:
        """The socket is open on this node; never blocks. Redis knows a moment later, or as soon as it is back."""
        ...

    def depart(self, bearer: Bearer) -> None:
        """It is gone; never blocks."""
        ...

    async def of_user(self, user_id: int) -> list[ConnectedClient]:
        """The user's clients, longest connected first; of very many on one node some are left out.

        Raises: RedisUnavailable.
        """
        ...

    async def where_user(self, user_id: int) -> dict[str, int]:
        """How many sockets the user has, by node.

        Raises: RedisUnavailable.
        """
        ...

    async def where_client(self, client_id: str) -> dict[str, int]:
        """How many sockets bear this client_id, by node.

        Raises: RedisUnavailable.
        """
        ...
