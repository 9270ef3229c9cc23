"""The position of one chat on this node: the next event to deliver, and the events that arrived too early.

Keeps invariant 5: events leave with contiguous seqs. Pure: no clock, no I/O.
"""

from collections.abc import Iterable

from storage.records import ChatEvent

MAX_HELD = 1000
"""Events held after a hole; further ones are dropped, since `Repair` reads them from the store."""


class ReorderBuffer:
    """Orders and deduplicates the events of a chat, which may arrive in any order, and several times."""

    __slots__ = ("_held", "next_seq")

    def __init__(self) -> None:
        self.next_seq = 0
        """The seq of the event to deliver next; 0 until `start`."""
        self._held: dict[int, ChatEvent] = {}

    @property
    def is_started(self) -> bool:
        """Whether the position is known; before that, all events are held."""
        return self.next_seq > 0

    @property
    def last_seq(self) -> int:
        """The seq of the last event that was delivered here."""
        return self.next_seq - 1

    @property
    def has_gap(self) -> bool:
        """Whether an event is held that cannot be delivered yet."""
        return self.is_started and bool(self._held)

    def start(self, last_seq: int) -> list[ChatEvent]:
        """Start after `last_seq`; return the held events that directly follow it."""
        self.next_seq = last_seq + 1
        self._held = {seq: event for seq, event in self._held.items() if seq > last_seq}
        return self._release()

    def restart(self, last_seq: int) -> None:
        """Another epoch has begun: continue after its `last_seq`, and drop the held events of the old one."""
        self._held = {}
        self.next_seq = last_seq + 1

    def add(self, events: Iterable[ChatEvent]) -> list[ChatEvent]:
        """Accept events in any order, duplicates included; return those that are due now, in seq order."""
        due: list[ChatEvent] = []
        for event in events:
            if event.seq == self.next_seq:
                self.next_seq += 1
                due.append(event)
                if self._held:
                    due += self._release()
            elif event.seq > self.next_seq and len(self._held) < MAX_HELD:
                self._held[event.seq] = event
        return due

    def _release(self) -> list[ChatEvent]:
        due: list[ChatEvent] = []
        while (event := self._held.pop(self.next_seq, None)) is not None:
            self.next_seq += 1
            due.append(event)
        return due
