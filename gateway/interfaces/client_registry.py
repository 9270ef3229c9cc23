"""The connected client_ids, their nodes and users. Implemented by `gateway.redis.client_registry`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ClientConnection:
    """One socket with a client_id, open since `connected_at` (Unix seconds); `user_id` is None if anonymous."""

    client_id: str
    user_id: int | None
    connection_id: str
    connected_at: int


@dataclass(frozen=True, slots=True)
class ConnectedClient:
    """The client_id of a user's socket, and its node; `connected_at` is in Unix seconds."""

    client_id: str
    node_id: str
    connected_at: int


class ClientRegistry(Protocol):
    """Entries expire with their node. A client_id is a label that any number of sockets may have, of any users."""

    def arrive(self, bearer: ClientConnection) -> None:
        """Register an open socket of this node; never blocks. Redis is updated soon, or once it is available."""
        ...

    def depart(self, bearer: ClientConnection) -> None:
        """Remove a closed socket; never blocks."""
        ...

    def enter(self, user_id: int) -> None:
        """Register that the user is present on this node; never blocks."""
        ...

    def leave(self, user_id: int) -> None:
        """The user is present on this node no more; never blocks."""
        ...

    async def online(self, user_ids: Collection[int]) -> set[int]:
        """Those of these users who are present on any node, in one round trip.

        Raises: RedisUnavailable.
        """
        ...

    async def of_user(self, user_id: int) -> list[ConnectedClient]:
        """The user's clients, longest connected first; if a node has very many, some are omitted.

        Raises: RedisUnavailable.
        """
        ...

    async def where_user(self, user_id: int) -> dict[str, int]:
        """The number of the user's sockets, by node.

        Raises: RedisUnavailable.
        """
        ...

    async def connected_among(self, user_ids: Sequence[int]) -> set[int]:
        """Those of these users who have a socket.

        Raises: RedisUnavailable.
        """
        ...

    async def where_client(self, client_id: str, user_id: int | None) -> dict[str, int]:
        """The number of the user's sockets with this client_id, by node; user_id None: of the anonymous ones.

        Raises: RedisUnavailable.
        """
        ...

    async def owners_of(self, client_id: str) -> set[int]:
        """The users who have sockets with this client_id; if a node has very many of these sockets, some are omitted.

        Raises: RedisUnavailable.
        """
        ...


class LastSeenStore(Protocol):
    """When users were seen last. Implemented by `storage.repositories.users.last_seen`.

    Every method raises StorageUnavailable.
    """

    async def write(self, seen: Mapping[int, int]) -> None:
        """Record when these users were seen, by id, in Unix ms."""
        ...

    async def of(self, user_ids: Sequence[int], viewer_id: int | None) -> dict[int, int | None]:
        """When those users were seen whose presence the viewer may know, in Unix ms; None stands for never.

        `viewer_id` is None for a service, which may know of all.
        """
        ...


class PresentUserStore(Protocol):
    """Who is present on any node, as events tell it. Implemented by `storage.repositories.users.present_users`.

    A lease is this node's, and ends if it is not renewed. Every method raises StorageUnavailable.
    """

    async def take_lease(self) -> int:
        """A new lease."""
        ...

    async def renew(self, lease_id: int) -> bool:
        """Renew a lease; False if it has ended."""
        ...

    async def enter(self, lease_id: int, user_ids: Sequence[int]) -> bool:
        """These users are present under the lease; False, and nothing is stored, if it has ended."""
        ...

    async def leave(self, lease_id: int, seen: Mapping[int, int]) -> None:
        """These users, seen last at these times (Unix ms), are no longer present under the lease."""
        ...

    async def reap(self) -> bool:
        """Remove some of what leases have left that have ended; False if there is nothing."""
        ...
