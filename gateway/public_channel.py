"""Seam: the one public chat of the whole system (seed 003). `storage.public_channel` meets it."""

from typing import Protocol

from storage.records import Admission


class PublicChannel(Protocol):
    """Whoever enters it becomes a member."""

    async def enter(self, user_id: int) -> tuple[Admission, bool]:
        """The user's place in it, and whether it is new; one query for whoever has been here before.

        Whoever comes first, and on however many nodes at once, there is one channel.

        Raises: StorageUnavailable.
        """
        ...
