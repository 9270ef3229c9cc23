"""Seam inside storage: one batch of events into the log, at once. `commit_postgres` and `commit_sqlite` meet it."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol

from storage.records import NewEvent, Outcome

BATCH_LIMIT = 200  # events a commit; more adds latency and no throughput (docs/message-log.md)


class Commit(Protocol):
    """Commits batches. In a batch no (chat, sender, client_msg_id) comes twice."""

    @property
    def pipelines(self) -> int:
        """How many batches at a time it can make use of."""
        ...

    async def commit(self, events: Sequence[NewEvent]) -> list[Outcome]:
        """What became of each event, in order, after COMMIT.

        Raises: StorageUnavailable (also when the outcome is unknown); anything else if the database cannot take one of
        the events: then none of them is stored.
        """
        ...

    async def close(self) -> None:
        """Give back what it holds; a commit under way ends first."""
        ...


def digest_of(event: NewEvent) -> bytes:
    """What was first sent, in 16 bytes: the text of an edited message changes, its retries must still be recognised."""
    content = f"{event.kind}\0{event.message_id}\0{event.text}"
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest()
