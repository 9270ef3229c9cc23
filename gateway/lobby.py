"""The sockets of many chats on this node, by their user and by the client_id that they bear."""

from typing import Protocol, TypeVar

from gateway.notices import Notice
from storage.records import Person

_Key = TypeVar("_Key", int, str)


class LobbySocket(Protocol):
    """A socket that can be told something apart from any chat; hashable by identity."""

    @property
    def client_id(self) -> str:
        """The label that it bears; others may bear the same."""
        ...

    @property
    def person(self) -> Person | None:
        """Whose it is; None without a valid token."""
        ...

    def is_subscribed(self, chat_id: int) -> bool:
        """Whether it gets what is pushed in the chat anyway."""
        ...

    def notify(self, notice: Notice) -> None:
        """Tell it; never blocks."""
        ...


class Lobby:
    """Everything here is synchronous."""

    def __init__(self) -> None:
        self._users: dict[int, dict[LobbySocket, None]] = {}
        self._clients: dict[str, dict[LobbySocket, None]] = {}

    def add(self, socket: LobbySocket) -> None:
        """It is open."""
        self._clients.setdefault(socket.client_id, {})[socket] = None
        if socket.person is not None:
            self._users.setdefault(socket.person.id, {})[socket] = None

    def remove(self, socket: LobbySocket) -> None:
        """It is gone; it may never have been here."""
        _remove(self._clients, socket.client_id, socket)
        if socket.person is not None:
            _remove(self._users, socket.person.id, socket)

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
