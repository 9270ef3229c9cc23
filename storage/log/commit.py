"""The interface to commit a batch of events at once. `commit_postgres` and `commit_sqlite` implement it."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol

from storage.records import NewEvent, Outcome

MAX_EDITS = 100  # of one message, each of which is a row for good; `chat_log_commit.sql` has this figure too
SNAPSHOTS = 1_000  # replies to a message that keep what it held; `chat_log_commit.sql` has these two figures too
QUOTED = 120  # code points of a message that a reply shows
BATCH_LIMIT = 200  # events per commit; more adds latency and no throughput (docs/message-log.md)


class Commit(Protocol):
    """Commits batches. A batch has each (chat, sender, client_msg_id) at most once."""

    @property
    def most_at_once(self) -> int:
        """How many batches can usefully be committed at the same time."""
        ...

    async def commit(self, events: Sequence[NewEvent]) -> list[Outcome]:
        """The outcome of each event, in order, after COMMIT.

        Raises: StorageUnavailable (also if the outcome is unknown); any other exception if the database cannot store
        one of the events: then none of them is stored.
        """
        ...

    async def close(self) -> None:
        """Release its resources after the running commit has ended."""
        ...


def digest_of(event: NewEvent) -> bytes:
    """A digest of the original content: a retry must be recognised although an edit has changed the stored text."""
    content = event.kind + f"\0{event.message_id}\0{event.text}"  # to format an enum's member takes longer
    if event.data is not None:
        content += f"\0data\0{event.data}"  # a text has no NUL
    if event.reply_to is not None:
        content += f"\0reply\0{event.reply_to}"
    if event.mentions:
        content += f"\0mentions\0{event.mentions}"
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest()
