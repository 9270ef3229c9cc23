"""The sockets of many chats on this node, by their user and by the client_id that they bear."""

import time
from collections.abc import Callable, Collection
from typing import Protocol, TypeVar

from gateway.clients import Bearer, Clients
from gateway.dialects.base import Dialect
from gateway.notices import ChatActivity, ChatAdded, ChatRemoved, Direct, Notice
from storage.records import Person

_Key = TypeVar("_Key", int, str)
_KINDS = {ChatAdded: "chat_added", ChatRemoved: "chat_removed", ChatActivity: "chat_activity", Direct: "direct"}


class LobbySocket(Protocol):
    """A socket that can be told something apart from any chat; hashable by identity."""

    @property
    def client_id(self) -> str:
        """The label that it bears; others may bear the same."""
        ...

    @property
    def connection_id(self) -> str:
        """What tells it from all others."""
        ...

    @property
    def person(self) -> Person | None:
        """Whose it is; None without a valid token."""
        ...

    @property
    def dialect(self) -> Dialect:
        """How it is spoken to."""
        ...

    def is_subscribed(self, chat_id: int) -> bool:
        """Whether it gets what is pushed in the chat anyway."""
        ...

    def offer(self, frames: bytes) -> bool:
        """Take complete frames; never blocks, False if it cannot."""
        ...

    def notify(self, notice: Notice) -> None:
        """Tell it; never blocks."""
        ...


class Lobby:
    """Everything here is synchronous; `on_notices(kind, count)` counts what sockets were told."""

    def __init__(self, registry: Clients, on_notices: Callable[[str, int], None] = lambda *_: None) -> None:
        self._registry = registry
        self._on_notices = on_notices
        self._bearers: dict[LobbySocket, Bearer] = {}
        self._users: dict[int, dict[LobbySocket, None]] = {}
        self._clients: dict[str, dict[LobbySocket, None]] = {}

    def add(self, socket: LobbySocket) -> None:
        """It is open: other nodes hear of it too."""
        user_id = None if socket.person is None else socket.person.id
        bearer = Bearer(socket.client_id, user_id, socket.connection_id, int(time.time()))
        self._bearers[socket] = bearer
        self._registry.arrive(bearer)
        self._clients.setdefault(socket.client_id, {})[socket] = None
        if socket.person is not None:
            self._users.setdefault(socket.person.id, {})[socket] = None

    def remove(self, socket: LobbySocket) -> None:
        """It is gone; it may never have been here."""
        bearer = self._bearers.pop(socket, None)
        if bearer is not None:
            self._registry.depart(bearer)
        _remove(self._clients, socket.client_id, socket)
        if socket.person is not None:
            _remove(self._users, socket.person.id, socket)

    def tell(self, sockets: Collection[LobbySocket], notice: Notice) -> None:
        """Tell each of them; never blocks."""
        for socket in sockets:
            socket.notify(notice)
        self.count(_KINDS[type(notice)], len(sockets))

    def count(self, kind: str, count: int) -> None:
        """Count what sockets were told in another way."""
        self._on_notices(kind, count)

    def of_user(self, user_id: int) -> list[LobbySocket]:
        """The user's sockets here."""
        return list(self._users.get(user_id, ()))

    def of_client(self, client_id: str) -> list[LobbySocket]:
        """The sockets here that bear this client_id, whoever they belong to."""
        return list(self._clients.get(client_id, ()))


def _remove(sockets: dict[_Key, dict[LobbySocket, None]], key: _Key, socket: LobbySocket) -> None:
    mine = sockets.get(key, {})
    mine.pop(socket, None)
    if not mine:
        sockets.pop(key, None)
