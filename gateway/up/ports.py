"""Finds a free port on this machine, and checks whether a port is free."""

import errno
import random
import socket
import sys
from typing import Final

from gateway.errors import NoFreePort

LOWEST: Final = 20_000
HIGHEST: Final = 32_000


def free_port(host: str = "127.0.0.1") -> int:
    """A port that is free now, outside the ephemeral ranges (32768 and up on Linux, RFC 6335 §6 elsewhere).

    A client that retries the ephemeral port of a dead server may get the same port as its local one and connect to
    itself; and a restarted server may find its port taken by an outgoing connection.

    On Linux it stays reserved while this process lives: no other call returns it, in this process or another.

    Raises: NoFreePort.
    """
    for _ in range(1000):
        port = random.randint(LOWEST, HIGHEST)  # noqa: S311  nothing secret
        if _reserve(host, port):
            return port
    raise NoFreePort(f"no free port between {LOWEST} and {HIGHEST}")


def _reserve(host: str, port: int) -> bool:
    """Whether the port was free, and not reserved either: a bind without SO_REUSEADDR is exclusive."""
    try:
        probe = _socket(host, port)
    except OSError:
        return False
    try:
        probe.bind((host, port))
    except OSError:
        probe.close()
        return False
    if sys.platform == "linux":
        # A server that sets SO_REUSEADDR, as all do, may now bind it too, since this socket does not listen.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.detach()  # open until the process ends
    else:
        probe.close()
    return True


def why_not(host: str, port: int) -> str | None:
    """The reason why we cannot listen on this port, in a few words; None if we can.

    The check does not set SO_REUSEPORT: otherwise a port that another process of this user serves would look free.
    """
    try:
        with _socket(host, port) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignores TIME_WAIT of a closed server
            probe.bind((host, port))
    except OSError as error:
        return "it is taken" if error.errno == errno.EADDRINUSE else (error.strerror or "it cannot be bound")
    return None


def _socket(host: str, port: int) -> socket.socket:
    """Raises: OSError, for a host that is none of this machine's."""
    family, kind, protocol, _, _ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.socket(family, kind, protocol)
