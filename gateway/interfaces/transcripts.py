"""The stored messages of echo sessions. Implemented by `storage.log.transcripts`."""

from collections.abc import Callable, Sequence
from typing import Protocol

from storage.records import LinePage, NewLine


class Transcripts(Protocol):
    """The messages of all echo sessions of all nodes, in both directions."""

    @property
    def is_busy(self) -> bool:
        """Whether the queue is so long that a session should stop reading until its own lines are stored."""
        ...

    def submit(self, lines: Sequence[NewLine], done: Callable[[bool], None]) -> None:
        """Queue lines for the next group commit; never blocks.

        `done` is called once, in submission order and perhaps before this returns: True after COMMIT; False if the
        queue is full or the database did not store them within about ten seconds. They may be stored nevertheless.
        """
        ...

    async def page(self, user_id: int, after: int, limit: int) -> LinePage:
        """At most `limit` lines of a user with an id above `after`, ascending; fewer if they are long.

        Raises: StorageUnavailable.
        """
        ...
