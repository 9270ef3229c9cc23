"""What must be done in time: end the handshake, answer pings. One timer for all sockets' pings, one for their pongs.

Keeps: who misses a deadline is cut; a socket has at most one ping on its way, and the next comes an interval after its
answer.
"""

import random
from dataclasses import dataclass
from operator import methodcaller
from typing import Final
from weakref import WeakKeyDictionary

from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame

from gateway.outgoing import Outgoing
from gateway.rota import Rota

HANDSHAKE_S: Final = 10.0
"""From a complete request to accept or refusal (security.md); gateway.http_transport bounds the time before."""

_PING_HEAD: Final = b"\x89\x04"


@dataclass(frozen=True, slots=True)
class Rotas:
    """The sockets of one server, by what they wait for."""

    openings: Rota["Deadlines"]
    """The end of the handshake."""
    pings: Rota["Deadlines"] | None
    """The time for the next ping; None: there are none."""
    pongs: Rota["Deadlines"] | None
    """The answer to the last one; None: it may take for ever."""


_rotas: WeakKeyDictionary[ServerState, Rotas] = WeakKeyDictionary()


def rotas_of(server: ServerState, config: Config) -> Rotas:
    """Its own, made at its first socket."""
    found = _rotas.get(server)
    if found is None:
        found = _rotas[server] = Rotas(
            Rota(HANDSHAKE_S, methodcaller("handshake_overdue")),
            Rota(config.ws_ping_interval, methodcaller("send_keepalive_ping")) if config.ws_ping_interval else None,
            Rota(config.ws_ping_timeout, methodcaller("keepalive_timeout")) if config.ws_ping_timeout else None,
        )
    return found


class Deadlines(Outgoing):
    """What `gateway.transport.Transport` has of deadlines; the names are uvicorn's."""

    __slots__ = ("_rotas", "pending_ping_payload")

    def __init__(self, rotas: Rotas) -> None:
        super().__init__()
        self._rotas = rotas
        self.pending_ping_payload: bytes | None = None

    def start_keepalive(self) -> None:
        """The handshake is complete."""
        self._rotas.openings.discard(self)
        self.schedule_ping()

    def stop_keepalive(self) -> None:
        """Nothing more is expected of the peer."""
        self.pending_ping_payload = None
        for rota in (self._rotas.pings, self._rotas.pongs):
            if rota is not None:
                rota.discard(self)

    def schedule_ping(self) -> None:
        """The next one, an interval from now."""
        if self._rotas.pings is not None:
            self._rotas.pings.add(self)

    def send_keepalive_ping(self) -> None:
        """uvicorn's, without websockets' state machine: an idle socket has it for nothing else."""
        if self.close_sent or self._transport.is_closing():
            return
        self.pending_ping_payload = random.randbytes(4)  # noqa: S311 - tells one ping from the next, guards nothing
        self.write(_PING_HEAD + self.pending_ping_payload)
        if self._rotas.pongs is None:
            self.schedule_ping()
        else:
            self._rotas.pongs.add(self)

    def handle_pong(self, event: Frame) -> None:
        """A pong, perhaps to the last ping."""
        if self.pending_ping_payload is None or bytes(event.data) != self.pending_ping_payload:
            return
        self.pending_ping_payload = None
        if self._rotas.pongs is not None:
            self._rotas.pongs.discard(self)
            self.schedule_ping()

    def keepalive_timeout(self) -> None:
        """No pong came in time."""
        if self.close_sent or self._transport.is_closing():
            return
        self.stop_keepalive()
        self.conn.fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()

    def handshake_overdue(self) -> None:
        """The application has neither accepted nor refused."""
        if not self.handshake_complete:
            self.transport.abort()
