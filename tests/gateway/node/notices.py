"""What a node tells others about its sockets, kept by the test."""

from gateway.interfaces.client_registry import ClientConnection
from gateway.protocol.control import ControlMessage, decode


class Broker:
    """Remembers what is announced."""

    def __init__(self) -> None:
        self.announced: list[ControlMessage | None] = []

    def announce(self, payload: bytes) -> None:
        self.announced.append(decode(payload))


class Registry:
    """The cluster-wide register of clients, which is of no interest here."""

    def arrive(self, bearer: ClientConnection) -> None: ...

    def depart(self, bearer: ClientConnection) -> None: ...
