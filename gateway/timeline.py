"""Where one chat stands on this node: which event comes next, and which have arrived too early.

Keeps invariant 5: what leaves here has contiguous seq. Pure: no clock, no I/O.
"""

from collections.abc import Iterable

from storage.records import ChatEvent

MAX_HELD = 1000
"""Events held beyond a hole; more are dropped, since repair reads them from the store anyway."""


class Timeline:
    """Orders a chat's events, whichever way and however often each of them arrives."""

    __slots__ = ("_held", "next_seq")

    def __init__(self) -> None:
        self.next_seq = 0
        """The seq of the event to deliver next; 0 until `start`."""
        self._held: dict[int, ChatEvent] = {}

    @property
    def is_started(self) -> bool:
        """Whether the position is known; before that, everything is held."""
        return self.next_seq > 0

    @property
    def last_seq(self) -> int:
        """The last event that was delivered here."""
        return self.next_seq - 1

    @property
    def has_gap(self) -> bool:
        """Whether something is held that cannot be delivered yet."""
        return self.is_started and bool(self._held)

    def start(self, last_seq: int) -> list[ChatEvent]:
        """Everything up to `last_seq` is history; return what was held and comes directly after it."""
        self.next_seq = last_seq + 1
        self._held = {seq: event for seq, event in self._held.items() if seq > last_seq}
        return self._release()

    def restart(self, last_seq: int) -> None:
        """Another history has begun, in which the chat stands at `last_seq`: what was held is of the old one."""
        self._held = {}
        self.next_seq = last_seq + 1

    def add(self, events: Iterable[ChatEvent]) -> list[ChatEvent]:
        """Take events in any order, duplicates included; return those that are due now, in order."""
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
