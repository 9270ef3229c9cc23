"""Ports of this machine: which are free, and whether one is."""

import errno
import random
import socket
from typing import Final

LOWEST: Final = 20_000
HIGHEST: Final = 32_000


class NoFreePort(Exception):
    """Every port that was tried is taken."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody has now, outside the ephemeral ranges (32768 and up on Linux, RFC 6335 §6 elsewhere).

    From the ephemeral range, a client that dials a dead server's port again and again may be given that very port as
    its own and connect to itself; and a server that comes back may find its port taken by an outgoing connection.

    Raises: NoFreePort.
    """
    for _ in range(1000):
        port = random.randint(LOWEST, HIGHEST)  # noqa: S311  nothing secret
        if why_not(host, port) is None:
            return port
    raise NoFreePort(f"no free port between {LOWEST} and {HIGHEST}")


def why_not(host: str, port: int) -> str | None:
    """Why nothing of ours could listen there, in a few words; None if it could.

    Asked without SO_REUSEPORT: with it, a port that another process of this user serves would look free.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed server's TIME_WAIT is no obstacle
            probe.bind(address)
    except OSError as error:
        return "it is taken" if error.errno == errno.EADDRINUSE else (error.strerror or "it cannot be bound")
    return None
