"""Finds a free port on this machine, and checks whether a port is free."""

import errno
import random
import socket
from typing import Final

from gateway.errors import NoFreePort

LOWEST: Final = 20_000
HIGHEST: Final = 32_000


def free_port(host: str = "127.0.0.1") -> int:
    """A port that is free now, outside the ephemeral ranges (32768 and up on Linux, RFC 6335 §6 elsewhere).

    A client that retries the ephemeral port of a dead server may get the same port as its local one and connect to
    itself; and a restarted server may find its port taken by an outgoing connection.

    Raises: NoFreePort.
    """
    for _ in range(1000):
        port = random.randint(LOWEST, HIGHEST)  # noqa: S311  nothing secret
        if why_not(host, port) is None:
            return port
    raise NoFreePort(f"no free port between {LOWEST} and {HIGHEST}")


def why_not(host: str, port: int) -> str | None:
    """The reason why we cannot listen on this port, in a few words; None if we can.

    The check does not set SO_REUSEPORT: otherwise a port that another process of this user serves would look free.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignores TIME_WAIT of a closed server
            probe.bind(address)
    except OSError as error:
        return "it is taken" if error.errno == errno.EADDRINUSE else (error.strerror or "it cannot be bound")
    return None
