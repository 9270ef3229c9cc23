"""State shared by all clients of a run: the system, the history and the times to act."""

import asyncio
import random
import time
from dataclasses import dataclass, field

from tests.faults.history import Accepted, Ack, History, Oddity


@dataclass
class World:
    """One run as its clients see it. They note what they see, and judge nothing."""

    url: str
    history: History
    random: random.Random
    mean_pause_s: float
    """Between one sender's acknowledged message and its next."""
    started: float = field(default_factory=time.monotonic)
    is_writing: bool = True
    over: asyncio.Event = field(default_factory=asyncio.Event)
    acked_seq: dict[int, int] = field(default_factory=dict)
    """By chat: the position that every connected client must have reached."""

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    async def pause(self) -> None:
        """What a sender does between two messages."""
        await asyncio.sleep(self.random.expovariate(1 / self.mean_pause_s))

    def odd(self, chat: int, client: str, what: str) -> None:
        """Note something that should not be."""
        self.history.oddities.append(Oddity(self.now, chat, client, what))

    def ack(self, chat: int, key: str, seq: int, message_id: int) -> None:
        """Note an acknowledgement."""
        self.history.acks.append(Ack(self.now, chat, key, seq, message_id))
        self.acked_seq[chat] = max(seq, self.acked_seq.get(chat, 0))

    def accept(self, chat: int, key: str) -> None:
        """Note that the queue has taken a message, which need not be stored yet: so many will be, at least."""
        self.history.accepted.append(Accepted(self.now, chat, key))
        self.acked_seq[chat] = self.acked_seq.get(chat, 0) + 1
