"""Limits of the commands that cost something, for each socket and for all sockets of its owner on this node.

The owner is the user or, of anonymous sockets, the address. A bucket holds a minute's worth and
refills evenly (GCRA). Messages have a limit of their own, over all nodes: `gateway.interfaces.rate_limits`.
Keeps: a command is counted only if it is allowed, so that waiting helps.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.config.settings import Settings
from gateway.protocol.commands import (
    Command,
    DeleteMessage,
    EditMessage,
    GetHistory,
    GetPresence,
    GetUsersPresence,
    Hello,
    MarkRead,
    Ping,
    React,
    SetTyping,
    Subscribe,
    SubscribePresence,
    Unsubscribe,
)

WINDOW_S: Final = 60.0
SOCKETS_AN_OWNER: Final = 3
"""How many sockets' worth a user or address has on a node: one socket does not use up what the others need."""
MAX_OWNERS: Final = 20_000
"""Users, and as many addresses, whose buckets are kept, some 10 MB each; beyond, those idle longest are full again."""

LIMITED: Final[Mapping[type[Command], str]] = {
    GetHistory: "history",
    GetPresence: "presence",
    GetUsersPresence: "presence",
    SubscribePresence: "presence",
    Subscribe: "subscriptions",
    Unsubscribe: "subscriptions",
    EditMessage: "edits",
    DeleteMessage: "edits",
    React: "reactions",
    SetTyping: "typing",
    MarkRead: "reads",
    Ping: "pings",
    Hello: "pings",
}
"""The bucket that each command takes from; `Refresh` has a limit in the session."""


@dataclass(frozen=True, slots=True)
class CommandRates:
    """Commands per minute of a socket, by bucket; 0 is no limit."""

    history: int = 0
    presence: int = 0
    subscriptions: int = 0
    edits: int = 0
    reactions: int = 0
    typing: int = 0
    reads: int = 0
    pings: int = 0


Owner = int | str
"""A user's id, or the IPv4 address or IPv6 /64 of anonymous sockets."""
_Buckets = dict[str, float]
"""When each bucket is full again, in seconds of the clock."""


class CommandLimits:
    """The limits of one node."""

    def __init__(self, rates: CommandRates, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._intervals: dict[type[Command], tuple[str, float]] = {
            command: (bucket, WINDOW_S / rate)
            for command, bucket in LIMITED.items()
            if (rate := getattr(rates, bucket)) > 0
        }
        self._users: OrderedDict[Owner, _Buckets] = OrderedDict()
        self._addresses: OrderedDict[Owner, _Buckets] = OrderedDict()
        """Apart from the users', so that many addresses cannot displace those."""

    def of_socket(self, owner: Owner) -> "SocketLimits":
        """The limits of a new socket of this owner."""
        return SocketLimits(self, owner)

    def wait_s(self, command: Command, socket: _Buckets, owner: Owner) -> float:
        """Take one command from the buckets, and return 0.0; or the seconds until they allow it, and take nothing."""
        limited = self._intervals.get(type(command))
        if limited is None:
            return 0.0
        bucket, interval_s = limited
        now = self._now()
        full_at = max(now, socket.get(bucket, 0.0)) + interval_s
        if full_at - now > WINDOW_S:
            return full_at - now - WINDOW_S
        shared = self._shared(owner)
        shared_full_at = max(now, shared.get(bucket, 0.0)) + interval_s / SOCKETS_AN_OWNER
        if shared_full_at - now > WINDOW_S:
            return shared_full_at - now - WINDOW_S
        shared[bucket] = shared_full_at
        socket[bucket] = full_at
        return 0.0

    def wait_of_user_s(self, command: Command, user_id: int) -> float:
        """The same for a request over HTTP, which belongs to no socket."""
        return self.wait_s(command, {}, user_id)

    def _shared(self, owner: Owner) -> _Buckets:
        """The buckets of all sockets of the owner."""
        kept = self._users if isinstance(owner, int) else self._addresses
        buckets = kept.setdefault(owner, {})
        kept.move_to_end(owner)
        if len(kept) > MAX_OWNERS:
            kept.popitem(last=False)
        return buckets


class SocketLimits:
    """The limits of one socket."""

    __slots__ = ("_buckets", "_limits", "_owner")

    def __init__(self, limits: CommandLimits, owner: Owner) -> None:
        self._limits = limits
        self._owner = owner
        self._buckets: _Buckets = {}

    def wait_s(self, command: Command) -> float:
        """Take one command, and return 0.0; or the seconds until it is allowed."""
        return self._limits.wait_s(command, self._buckets, self._owner)


def rates_of(settings: Settings) -> CommandRates:
    """The rates of the settings."""
    return CommandRates(
        history=settings.history_per_minute,
        presence=settings.presence_per_minute,
        subscriptions=settings.subscriptions_per_minute,
        edits=settings.edits_per_minute,
        reactions=settings.reactions_per_minute,
        typing=settings.typing_per_minute,
        reads=settings.reads_per_minute,
        pings=settings.pings_per_minute,
    )
