"""The interface of a dialect, which translates between one URL family's JSON and the types of `gateway.protocol`."""

import time
from enum import Enum, auto
from typing import Protocol

from msgspec import Struct, field

from gateway.protocol.commands import Command
from gateway.protocol.pushes import Push
from gateway.protocol.replies import ErrorReply, Reply


class Request(Struct, frozen=True, gc=False, eq=False):
    """A decoded command: with `chat_id` if the dialect addresses chats, with `ref` if the client gave it an id.

    `name` is the command's type in the dialect's JSON, from a closed set because it labels a metric. `came_at` is the
    time of decoding by `time.perf_counter`; it is not part of the command.
    """

    command: Command
    name: str
    chat_id: int | None = None
    ref: str | int | None = None
    came_at: float = field(default_factory=time.perf_counter)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Request) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[object, ...]:
        return self.command, self.name, self.chat_id, self.ref


class EchoPolicy(Enum):
    """Which messages, edits and deletions by its own user a socket receives as pushes."""

    ALL = auto()
    OTHER_SOCKETS = auto()  # only those sent through other sockets
    NONE = auto()


class Dialect(Protocol):
    """One URL family's JSON. Pure: the same input gives the same output, without I/O or state."""

    @property
    def name(self) -> str:
        """A short constant: the label in metrics, and the key under which each push is encoded only once."""
        ...

    @property
    def echo(self) -> EchoPolicy:
        """Which of a user's own events are pushed back. Dialects of one name either all use ALL, or none does."""
        ...

    def decode(self, payload: bytes, is_text: bool) -> Request | ErrorReply:
        """The command in one complete message, or an ErrorReply if it is invalid; never raises."""
        ...

    def push(self, push: Push) -> bytes | None:
        """The encoding of `push`, shared by every subscriber; None if this dialect does not include such pushes."""
        ...

    def reply(self, reply: Reply, request: Request | None) -> bytes | None:
        """The encoding of a reply to `request` (None: unsolicited); None if the dialect has no such reply."""
        ...
