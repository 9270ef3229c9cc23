"""What leaves the system: the outbox that holds it, and who sends it."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from storage.outbox_records import Backlog, DeadLetter, Dropped, ExtraEvent, Head, LoggedEvent
from storage.records import Positions


class OutsideEvent(Struct, frozen=True, gc=False):
    """An event as it leaves the system. `id` is the same in every attempt; `json` is the whole event, encoded.

    `key` is the id of its chat, or of its user if it is of no chat.
    """

    id: str
    type: str
    key: str
    json: bytes


class EventSender(Protocol):
    """Sends events to one endpoint. Implemented by `gateway.webhooks.webhook` and `gateway.rabbitmq.exchange`."""

    async def send(self, events: Sequence[OutsideEvent]) -> None:
        """Return once the endpoint has taken all of them, within seconds.

        Raises: SendFailed.
        """
        ...


class OutboxQueue(Protocol):
    """Implemented by `storage.outbox.queue`, whose text has the guarantees. Every method raises StorageUnavailable."""

    async def is_due(self, endpoint: str, *, late: bool) -> bool:
        """Whether there is anything to claim, but for what others have just committed; costs less than a claim."""
        ...

    async def claim(self, endpoint: str, limit: int, *, late: bool) -> list[Head]:
        """Lease rows that were never tried, or `late`, those whose delay or lease has ended."""
        ...

    async def extras(self, endpoint: str, streams: Sequence[int]) -> list[ExtraEvent]:
        """The first events of these streams that are not in the log, in their order."""
        ...

    async def finish(self, delivered: Sequence[tuple[Head, int, bool]], extra_ids: Sequence[int]) -> None:
        """Record that of each head everything up to this seq is delivered, and whether that is all of it."""
        ...

    async def put_off(self, delays: Sequence[tuple[Head, float]], error: str) -> None:
        """Try these again after a delay in seconds each."""
        ...

    async def bury(
        self, endpoint: str, head: Head, logged: Sequence[tuple[int, str]], extra_ids: Sequence[int], error: str
    ) -> None:
        """Make dead letters of log events, each (seq, type), and of extra events."""
        ...

    async def backlog(self, endpoint: str) -> Backlog:
        """What waits for the endpoint."""
        ...

    async def endpoints(self) -> list[str]:
        """The names that the outbox has anything of, also of endpoints that are no longer set up; at most 100."""
        ...

    async def drop(self, endpoint: str) -> Dropped:
        """Delete some of what the endpoint holds, dead letters too. Call it again until all is dropped."""
        ...

    async def purge(self) -> int:
        """Delete some of the dead letters that are too old; their number."""
        ...

    async def dead_letters(self, endpoint: str | None, after: int, limit: int) -> list[DeadLetter]:
        """The first `limit` dead letters with a higher id, of one endpoint or of all."""
        ...

    async def replay(self, letter_ids: Sequence[int]) -> int:
        """Let these wait again; the number of those that were dead letters."""
        ...


class LogRanges(Protocol):
    """Implemented by `storage.log.event_ranges`. Every method raises StorageUnavailable."""

    async def read(self, ranges: Sequence[tuple[int, int, int]], limit: int) -> dict[int, list[LoggedEvent]]:
        """The first `limit` events of each (chat, first seq, last seq), in their present state, by chat."""
        ...

    async def positions(self, chat_ids: Sequence[int]) -> Positions:
        """Where these chats stand, and the identity of this history."""
        ...
