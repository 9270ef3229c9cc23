"""The single public channel of the system (seed 003). Implemented by `storage.repositories.public_channel`."""

from typing import Protocol

from storage.records import Admission


class PublicChannel(Protocol):
    """A chat in which every user who enters becomes a member."""

    async def enter(self, user_id: int) -> tuple[Admission, bool]:
        """The user's membership and the channel's position, and whether the membership is new; one query if it is not.

        The first call creates the channel; concurrent first calls on any number of nodes create one.
        Raises: StorageUnavailable.
        """
        ...
