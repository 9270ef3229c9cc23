"""Seam: where the messages of echo sessions are kept. `storage.transcripts` meets it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from storage.records import LinePage, NewLine


class Transcripts(Protocol):
    """What every echo session said and was told, of every node."""

    @property
    def is_busy(self) -> bool:
        """Whether so much waits that a session should read no more until its own is stored."""
        ...

    def submit(self, lines: Sequence[NewLine], done: Callable[[bool], None]) -> None:
        """Queue lines for the next group commit; never blocks.

        `done` is called once, in submission order and perhaps before this returns: True after COMMIT; False if the
        queue is full or the database did not take them within about ten seconds. They may be stored all the same.
        """
        ...

    async def page(self, user_id: int, after: int, limit: int) -> LinePage:
        """At most `limit` of a user's lines with a higher id, ascending; fewer if they are long.

        Raises: StorageUnavailable.
        """
        ...
