"""What happened in a run, as its clients saw it: every attempt, acknowledgement and delivery, and what was stored.

Times are monotonic seconds since the start. An event (a message, edit, deletion or reaction) is known by its `key`,
its client_msg_id. The text of a message, or what it is edited to, is the key of that event.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import orjson

QUEUE = 0
"""The sender of what came through the queue, which keeps no order where nodes hand over (docs/queue.md)."""


Content = tuple[str, int, str, tuple[int, ...]]
"""What a message has beside its text: the JSON of its data, the target of a reply and its text, mentions; "", 0, ().

The text of a target is not what the sender sends.
"""


NO_CONTENT: Content = ("", 0, "", ())


class Attempt(NamedTuple):
    """A sender offered an event for the first time; `content` is that of a message."""

    at: float
    chat: int
    sender: int
    key: str
    is_deletion: bool = False
    content: Content | None = None


class Ack(NamedTuple):
    """The sender got an acknowledgement."""

    at: float
    chat: int
    key: str
    seq: int
    message_id: int


class Accepted(NamedTuple):
    """The queue has taken it: it is stored, or will be."""

    at: float
    chat: int
    key: str


Counts = dict[str, int]
"""Of reactions: the number of users of each."""


class Delivery(NamedTuple):
    """A client was pushed an event, live or on coming back; repeated ones too.

    `counts`: of a reaction. `content`: of a message.
    """

    at: float
    chat: int
    client: str
    seq: int
    message_id: int
    key: str
    counts: Counts | None = None
    content: Content | None = None


class Stored(NamedTuple):
    """An event as one reader found it in the chat's history at the end, with the present state of its message.

    Of a reaction, `reaction` is "+" or "-" and what was added or removed, and `counts` those that the event tells.
    """

    seq: int
    message_id: int
    sender: int
    key: str
    text: str
    reactions: Counts | None = None
    reaction: str = ""
    counts: Counts | None = None
    content: Content | None = None


class Oddity(NamedTuple):
    """Something that a client should not have met: a final refusal, a reset, a strange error."""

    at: float
    chat: int
    client: str
    what: str


@dataclass
class History:
    """One run. Clients append; the checker and the figures read."""

    attempts: list[Attempt] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    oddities: list[Oddity] = field(default_factory=list)
    reads: dict[tuple[int, str], list[Stored]] = field(default_factory=dict)
    """By chat and reader: the whole history, read over HTTP when all was over."""
    ends: dict[tuple[int, str], int] = field(default_factory=dict)
    """By chat and client: the last seq it was pushed, when all had been quiet for a while."""
    aged: dict[int, int] = field(default_factory=dict)
    """By chat: the events up to this seq are older than the chat keeps them, so that any of them may be gone."""
    reconnects: list[tuple[float, str]] = field(default_factory=list)
    """When a client began to connect once more, and which."""

    def write(self, path: Path) -> None:
        """All of it as JSON Lines."""
        with path.open("wb") as out:
            for line in self._lines():
                out.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def _lines(self) -> Iterator[dict[str, object]]:
        records: list[Attempt | Ack | Accepted | Delivery | Oddity] = []
        for kind in (self.attempts, self.acks, self.accepted, self.deliveries, self.oddities):
            records += kind
        for record in records:
            yield {"record": type(record).__name__.lower(), **record._asdict()}
        for (chat, reader), found in self.reads.items():
            yield {"record": "read", "chat": chat, "reader": reader, "stored": [list(stored) for stored in found]}
        for (chat, client), seq in self.ends.items():
            yield {"record": "end", "chat": chat, "client": client, "seq": seq}
        for chat, seq in self.aged.items():
            yield {"record": "aged", "chat": chat, "seq": seq}
