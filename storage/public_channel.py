"""The one public chat of the whole system (seed 003). Meets `gateway.public_channel.PublicChannel`.

Invariant kept here: there is one, made when somebody first needs it, for ever, whichever nodes do so at once. Its
`direct_key`, which is unique as those of direct chats are and can be none of theirs, says so.
"""

from tortoise.exceptions import IntegrityError

from storage.chats import Chats
from storage.database import Database
from storage.models import ChatRoom
from storage.records import QUEUE_SENDER, Admission, ChatKind, NewMember

KEY = "public channel"
TITLE = "Public channel"


class PublicChannel:
    """Every method raises StorageUnavailable when the database does not answer in time; see the seam for the rest."""

    def __init__(self, database: Database, chats: Chats) -> None:
        self._database = database
        self._chats = chats
        self._chat_id: int | None = None

    async def enter(self, user_id: int) -> tuple[Admission, bool]:
        """The user's place in it, and whether it is new."""
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
                creator = QUEUE_SENDER.id  # nobody can act as this one
                made = await ChatRoom.create(kind=ChatKind.PUBLIC, title=TITLE, creator_id=creator, direct_key=KEY)
                return int(made.id)
        except IntegrityError:
            # another node was faster by a moment: its channel is everybody's
            found = await self._find()
            assert found is not None, "the channel is never removed"  # noqa: S101
            return found
