"""What a dialect is: the seam between one URL family's JSON and our words."""

import time
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from gateway.messages import Command, ErrorReply, Push, Reply


@dataclass(frozen=True, slots=True)
class Request:
    """A command as it came in: `chat_id` where the dialect addresses chats, `ref` where it numbers its commands.

    `name` is the command's type as the dialect spells it, from a closed set (a metric's label). `came_at` is no part of
    what it says: when it was read, by `time.perf_counter`.
    """

    command: Command
    name: str
    chat_id: int | None = None
    ref: str | int | None = None
    came_at: float = field(default_factory=time.perf_counter, compare=False)


class Echo(Enum):
    """Which of its user's messages, edits and deletions a socket gets as pushes."""

    ALL = auto()
    OTHER_SOCKETS = auto()  # all but those that it has sent itself
    NONE = auto()


class Dialect(Protocol):
    """Pure: the same input gives the same output, nothing blocks, nothing is remembered."""

    @property
    def name(self) -> str:
        """A short constant: the label of metrics, and the key by which pushes are encoded once."""
        ...

    @property
    def echo(self) -> Echo:
        """What comes back to its author. Of the dialects of one name all say ALL, or none."""
        ...

    def decode(self, payload: bytes, is_text: bool) -> Request | ErrorReply:
        """The command in one whole message; an ErrorReply says what is wrong with it, and never raises."""
        ...

    def push(self, push: Push) -> bytes | None:
        """One encoding for every subscriber; None if this dialect does not speak of such things."""
        ...

    def reply(self, reply: Reply, request: Request | None) -> bytes | None:
        """The answer to one session's request (None: unasked); None if the dialect has no such answer."""
        ...
