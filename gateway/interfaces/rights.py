"""Who is staff, who blocks whom, who is whose contact. Implemented by `storage.repositories.staff` and `contacts`."""

from collections.abc import Sequence
from typing import Protocol

from storage.records import NewMember, Relation


class Staff(Protocol):
    """Users who may create service and support chats. Every method raises StorageUnavailable."""

    async def is_staff(self, user_id: int) -> bool:
        """Whether the user is staff now."""
        ...

    async def set_staff(self, user_id: int, is_staff: bool) -> None:
        """Make the user staff, or end that.

        Raises: UnknownUser.
        """
        ...


class Contacts(Protocol):
    """Blocks, and the relations between users. Every method raises StorageUnavailable."""

    async def relations(self, user_id: int, members: Sequence[NewMember]) -> list[Relation]:
        """How each of these users stands to `user_id`; names that no user has are UNKNOWN.

        Raises: InvalidMembers if an entry names no user.
        """
        ...

    async def block(self, user_id: int, blocked_id: int) -> None:
        """Block a user, whether or not this id exists.

        Raises: TooManyBlocks.
        """
        ...

    async def unblock(self, user_id: int, blocked_id: int) -> None:
        """Remove a block, if there is one."""
        ...

    async def blocked_by(self, user_id: int) -> list[int]:
        """The ids of the users whom this user has blocked, in ascending order."""
        ...
