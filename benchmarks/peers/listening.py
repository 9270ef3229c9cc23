"""Peers as servers: up when they take connections."""

import socket
from collections.abc import Sequence
from pathlib import Path

from tests.servers import Server


def listens(port: int) -> bool:
    """Whether something takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class ListeningServer(Server):
    """A program that is up when its port takes connections."""

    def __init__(self, command: Sequence[str], folder: Path, port: int) -> None:
        super().__init__(command, folder)
        self.port = port

    def is_up(self) -> bool:
        """Whether it takes connections."""
        return listens(self.port)
