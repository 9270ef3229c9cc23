"""Users who are staff: they may create service and support chats. Implements `gateway.interfaces.rights.Staff`."""

from tortoise.exceptions import IntegrityError

from storage.database.database import Database
from storage.errors import UnknownUser
from storage.models import StaffMember, User
from storage.records import SYSTEM, is_id


class StaffRepository:
    """Every method raises StorageUnavailable if the database does not respond in time; else as in the interface."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def is_staff(self, user_id: int) -> bool:
        """Whether the user is staff now."""
        return bool(await self._database.fetch("SELECT 1 FROM staff WHERE user_id = $1", user_id))

    async def set_staff(self, user_id: int, is_staff: bool) -> None:
        """Make the user staff, or end that.

        Raises: UnknownUser.
        """
        if not is_id(user_id) or user_id == SYSTEM.id:
            raise UnknownUser(user_id)
        try:
            async with self._database.transaction():
                if not await User.exists(id=user_id):
                    raise UnknownUser(user_id)
                if not is_staff:
                    await StaffMember.filter(user_id=user_id).delete()
                elif not await StaffMember.exists(user_id=user_id):
                    await StaffMember.create(user_id=user_id)
        except IntegrityError:
            pass  # another call has just made them staff
