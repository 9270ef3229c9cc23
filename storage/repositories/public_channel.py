"""The one public chat of the whole system (seed 003). Implements `gateway.interfaces.rooms`.

Invariant: there is exactly one, created at the first use, also if several nodes use it first at the same time. Its
`direct_key`, which is unique and different from that of any direct chat, guarantees that.
"""

from tortoise.exceptions import IntegrityError

from storage.database.database import Database
from storage.models import ChatRoom
from storage.records import SYSTEM, Admission, ChatKind, NewMember
from storage.repositories.chats import Chats

KEY = "public channel"
TITLE = "Public channel"


class PublicChannelRepository:
    """Every method raises StorageUnavailable if the database does not respond in time; else as in the interface."""

    def __init__(self, database: Database, chats: Chats) -> None:
        self._database = database
        self._chats = chats
        self._chat_id: int | None = None

    async def enter(self, user_id: int) -> tuple[Admission, bool]:
        """The user's membership and whether it is new."""
        if self._chat_id is None:
            self._chat_id = await self._find() or await self._make()
        is_new = False
        while (admission := await self._chats.admit(self._chat_id, user_id)) is None:
            _, is_new = await self._chats.add_member(self._chat_id, user_id, NewMember(user_id=user_id))
        return admission, is_new

    async def _find(self) -> int | None:
        rows = await self._database.fetch("SELECT id FROM chats WHERE direct_key = $1", KEY)
        return rows[0]["id"] if rows else None

    async def _make(self) -> int:
        try:
            async with self._database.transaction():
                creator = SYSTEM.id  # no caller can act as this user
                made = await ChatRoom.create(kind=ChatKind.PUBLIC, title=TITLE, creator_id=creator, direct_key=KEY)
                return int(made.id)
        except IntegrityError:
            # another node has just created it
            found = await self._find()
            assert found is not None, "the channel is never removed"  # noqa: S101
            return found
