"""What sessions are made of: the parts of the node that all of them use, and the peer of one socket."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from gateway.delivery.history import History
from gateway.dialects.base import Dialect, Request
from gateway.interfaces.membership import Memberships
from gateway.metrics.clients import ClientMetrics
from gateway.node.local_clients import LocalClients
from gateway.node.node import Node
from gateway.node.online.online_users import OnlineUsers
from gateway.node.present_people import PresentPeople
from gateway.node.user_feed import UserFeed
from gateway.sessions.command_limits import CommandLimits
from gateway.tasks import Tasks
from httpapi.client_address import UNKNOWN
from storage.auth_records import Credential
from storage.records import NewEvent, Person

Renew = Callable[[str], Awaitable[Credential | None]]
"""What a token says about itself; None for one that is not accepted.

It may raise StorageUnavailable.
"""


async def _no_renewal(_: str) -> Credential | None:
    """Accepts no token: of a node without credentials."""
    return None


class CommandTraces(Protocol):
    """Told of commands that store something. Implemented by `gateway.tracing.traces`, where tracing is on."""

    def command_begins(self, request: Request, event: NewEvent) -> None:
        """The command was admitted, and its event is about to be committed; never blocks."""
        ...


@dataclass(frozen=True, slots=True)
class SessionContext:
    """The parts of a node that its sessions use. One per node."""

    node: Node
    membership: Memberships
    present_people: PresentPeople
    online: OnlineUsers
    history: History
    local_clients: LocalClients
    feed: UserFeed
    tasks: Tasks
    metrics: ClientMetrics
    limits: CommandLimits
    renew: Renew = _no_renewal
    traces: CommandTraces | None = None
    """None where tracing is off."""


class Peer(Struct, frozen=True, gc=False):
    """The other end of a socket, as its handshake established it.

    `person` is the authenticated user, and `credential` what its token says. Without a valid token `person` is None,
    and the credential has no user and never expires. `network` is the IPv4 address or IPv6 /64.
    """

    dialect: Dialect
    person: Person | None
    credential: Credential
    connection_id: str
    wants_expiry_warning: bool = False
    network: str = UNKNOWN
