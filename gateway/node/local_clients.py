"""The multi-chat sockets on this node, by user, and by client_id and its owner."""

import time
from collections.abc import Callable, Collection
from typing import TypeVar

from gateway.interfaces.client_registry import ClientConnection, ClientRegistry
from gateway.interfaces.session import LocalClient
from gateway.protocol.pushes import ChatChanged
from gateway.protocol.replies import ChatActivity, ChatAdded, ChatRead, ChatRemoved, Direct, Notice, UserPresence

_Key = TypeVar("_Key", int, tuple[str, int | None])
_KINDS = {
    ChatAdded: "chat_added",
    ChatRemoved: "chat_removed",
    ChatActivity: "chat_activity",
    ChatRead: "chat_read",
    ChatChanged: "chat_changed",
    UserPresence: "user_presence",
    Direct: "direct",
}


class LocalClients:
    """The register of these sockets. Every method is synchronous; `on_notices(kind, count)` counts sent notices."""

    def __init__(self, registry: ClientRegistry, on_notices: Callable[[str, int], None] = lambda *_: None) -> None:
        self._registry = registry
        self._on_notices = on_notices
        self._connections: dict[LocalClient, ClientConnection] = {}
        self._users: dict[int, dict[LocalClient, None]] = {}
        self._clients: dict[tuple[str, int | None], dict[LocalClient, None]] = {}

    def add(self, socket: LocalClient) -> None:
        """Register an open socket, here and in the cluster-wide client registry."""
        user_id = None if socket.person is None else socket.person.id
        connection = ClientConnection(socket.client_id, user_id, socket.connection_id, int(time.time()))
        self._connections[socket] = connection
        self._registry.arrive(connection)
        self._clients.setdefault((socket.client_id, user_id), {})[socket] = None
        if socket.person is not None:
            self._users.setdefault(socket.person.id, {})[socket] = None

    def remove(self, socket: LocalClient) -> None:
        """Remove a closed socket; ignored if it was never registered."""
        connection = self._connections.pop(socket, None)
        if connection is not None:
            self._registry.depart(connection)
        user_id = None if socket.person is None else socket.person.id
        _remove(self._clients, (socket.client_id, user_id), socket)
        if socket.person is not None:
            _remove(self._users, socket.person.id, socket)

    def tell(self, sockets: Collection[LocalClient], notice: Notice) -> None:
        """Send the notice to each socket; never blocks."""
        for socket in sockets:
            socket.tell(notice)
        self.count_of(notice, len(sockets))

    def count_of(self, notice: Notice, count: int) -> None:
        """Count copies of a notice that were sent in another way."""
        self.count(_KINDS[type(notice)], count)

    def count(self, kind: str, count: int) -> None:
        """Count notices that were sent in another way."""
        self._on_notices(kind, count)

    def of_user(self, user_id: int) -> list[LocalClient]:
        """The user's sockets here."""
        return list(self._users.get(user_id, ()))

    def of_client(self, client_id: str, user_id: int | None) -> list[LocalClient]:
        """The sockets here with this client_id and this owner; None: the anonymous ones."""
        return list(self._clients.get((client_id, user_id), ()))


def _remove(sockets: dict[_Key, dict[LocalClient, None]], key: _Key, socket: LocalClient) -> None:
    remaining = sockets.get(key, {})
    remaining.pop(socket, None)
    if not remaining:
        sockets.pop(key, None)
