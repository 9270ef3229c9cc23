"""The queues in which the sockets of one server wait: for a timeout, or for their turn."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from operator import methodcaller
from typing import Final, Protocol
from weakref import WeakKeyDictionary

from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.interfaces.connection import ConnectionListener
from gateway.transport.keepalive import Keepalive
from gateway.transport.socket_writer import SocketWriter
from gateway.transport.timeout_queue import TimeoutQueue
from gateway.turns import SLICE_S, Turns

HEAD_S: Final = 10.0
"""From the connection, or from a further request's first byte, to the end of its headers (docs/transport.md)."""
BODY_S: Final = 30.0
"""From the end of the headers to the end of the body. Applications have shorter timeouts of their own, so that they
have the time to respond with 408."""
HANDSHAKE_S: Final = 10.0
"""From a complete request to accept or rejection (docs/transport.md)."""
REQUESTS_A_TURN: Final = 4
"""How many reads of requests one turn of the loop handles at most. Most requests and handshakes cost up to 1 ms in all
the turns until their response: so a herd of them leaves other sockets their pong within some 10 ms."""
TURN_S: Final = 0.003
"""Of CPU time. While turns of the loop take longer, because requests cost more (a new chat takes 3.5 ms), fewer are
begun, down to one a turn. Always one would cost a herd of handshakes a third more: Redis gets their commands in one
write."""
ENDS_A_TURN: Final = 32
"""How many sockets whose peer has gone are closed in one turn of the loop: with the end of its session each takes some
50 µs, in the turns that follow."""
PAUSE: Final = 4
"""Turns of the loop that are left to everything else after each slice of closed sockets."""
SLOW_S: Final = 0.1
"""How long a socket that has used up its allowance is not read (gateway.transport.incoming)."""


def _uncounted() -> None:
    """The default callback, for processes without metrics."""


@dataclass(frozen=True, slots=True)
class InputLimits:
    """Called when a socket reaches one of gateway.transport.incoming's limits."""

    on_slowed: Callable[[], None] = _uncounted
    """The socket has used up its allowance."""
    on_flood: Callable[[], None] = _uncounted
    """The socket is closed because it floods."""


class PendingRequest(Protocol):
    """A connection whose request is not complete."""

    def request_overdue(self) -> None:
        """Called when the client has not sent the next part of it in time."""
        ...


class PendingHandshake(Protocol):
    """A socket whose handshake is not complete."""

    def handshake_overdue(self) -> None:
        """Called when the application has not answered in time."""
        ...


class Continued(Protocol):
    """A connection with an unhandled rest of a read."""

    def proceed(self) -> None:
        """Handle the next portion."""
        ...


class Lost(Protocol):
    """A connection that was lost."""

    listener: ConnectionListener | None
    """Its session; None during the handshake."""

    def report_lost(self) -> None:
        """End its session."""
        ...


class Slowed(Protocol):
    """The input of a socket without an allowance."""

    def refill(self) -> None:
        """Called after SLOW_S."""
        ...


@dataclass(frozen=True, slots=True)
class ServerQueues:
    """One of each for all sockets of a server."""

    heads: TimeoutQueue[PendingRequest]
    """Connections until the headers of their request are complete."""
    bodies: TimeoutQueue[PendingRequest]
    """Connections until the body of their request is complete."""
    openings: TimeoutQueue[PendingHandshake]
    """Sockets whose handshake is not complete."""
    keepalive: Keepalive
    """Sockets until their next ping or pong."""
    turns: Turns[Continued]
    """Sockets with the rest of a read, for a later turn of the loop."""
    requests: Turns[Continued]
    """Sockets with a request or a part of one, handshakes included, if there are too many in one turn of the loop."""
    probes: Turns[Continued]
    """Likewise with a probe, one a turn: these wait for each other only."""
    ends: Turns[SocketWriter]
    """Sockets whose peer has ended the connection, until they are closed."""
    losses: Turns[Lost]
    """Connections that are lost, until their sessions are told."""
    slowed: TimeoutQueue[Slowed]
    """Sockets until their next allowance."""
    limits: InputLimits

    def closes_later(self, writer: SocketWriter) -> bool:
        """Whether the socket of a peer that has gone closes in its turn, as many have; False: the caller closes it."""
        if not writer.is_drained or self.ends.has_time():
            return False
        self.ends.add(writer)
        return True

    def report_lost(self, connection: Lost) -> None:
        """End the session of a lost connection: now, or in its turn if many are lost together."""
        if connection.listener is None or self.losses.has_time():
            connection.report_lost()
        else:
            self.losses.add(connection)


_queues: WeakKeyDictionary[ServerState, ServerQueues] = WeakKeyDictionary()


def queues_of(server: ServerState, config: Config, limits: InputLimits | None = None) -> ServerQueues:
    """The queues of this server, created by the first call."""
    queues = _queues.get(server)
    if queues is None:
        queues = _queues[server] = ServerQueues(
            TimeoutQueue(HEAD_S, methodcaller("request_overdue")),
            TimeoutQueue(BODY_S, methodcaller("request_overdue")),
            TimeoutQueue(HANDSHAKE_S, methodcaller("handshake_overdue")),
            Keepalive(config.ws_ping_interval, config.ws_ping_timeout),
            Turns(methodcaller("proceed"), SLICE_S),
            Turns(methodcaller("proceed"), inf, REQUESTS_A_TURN, turn_s=TURN_S),
            Turns(methodcaller("proceed"), inf, 1),
            Turns(methodcaller("close"), inf, ENDS_A_TURN, PAUSE),
            Turns(methodcaller("report_lost"), SLICE_S, pause=PAUSE),
            TimeoutQueue(SLOW_S, methodcaller("refill")),
            limits or InputLimits(),
        )
    return queues
