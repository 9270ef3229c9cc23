"""What the members of a chat may do: their roles, and until when they are muted."""

from typing import Final

from storage.database.database import Database
from storage.errors import InvalidMembers, NotAllowed, UnknownUser
from storage.models import Membership
from storage.outbox.chat_notes import ChatNotes
from storage.outbox_records import NOTHING_WANTED, Wanted
from storage.records import STAFF_ROLES, ChatKind, Member, Role, is_id
from storage.repositories.chat_pages import PERSON, member_of
from storage.repositories.chat_setup.lock import locked_chat
from storage.repositories.owners import settle_owner

_MEMBER: Final = f"""
SELECT m.role, m.read_seq, m.muted_until, {PERSON} FROM memberships m JOIN users u ON u.id = m.user_id
WHERE m.chat_id = $1 AND m.user_id = $2
"""
_CHANGED: Final = "UPDATE chats SET members_version = members_version + 1 WHERE id = $1"


async def may_moderate(chat_id: int, actor_id: int | None, user_id: int, owner_id: int | None) -> bool:
    """Whether the actor may mute and remove this member: a moderator may neither the owner nor other moderators."""
    if actor_id is None or actor_id == owner_id:
        return True
    moderators = await Membership.filter(chat_id=chat_id, role=Role.MODERATOR).filter(user_id__in=[actor_id, user_id])
    return user_id != owner_id and [member.user_id for member in moderators] == [actor_id]


class StoredRoles:
    """Raises StorageUnavailable if the database does not respond in time; else as in the interface."""

    def __init__(self, database: Database, wanted: Wanted = NOTHING_WANTED) -> None:
        """`wanted` is what changes write to the outbox."""
        self._database = database
        self._notes = ChatNotes(database, wanted)

    async def change(
        self, chat_id: int, actor_id: int | None, user_id: int, role: Role | None, muted_until: int | None
    ) -> tuple[Member, bool]:
        """The member, and whether anything has changed.

        Raises: NoSuchChat, NotAllowed, UnknownUser, InvalidMembers.
        """
        async with self._database.transaction() as client:
            room = await locked_chat(chat_id, actor_id)
            owner_id = None if room.kind is ChatKind.DIRECT else await settle_owner(room)
            sees_all = actor_id is None or actor_id == owner_id
            if not (sees_all or (role is None and await may_moderate(chat_id, actor_id, user_id, owner_id))):
                raise NotAllowed
            pair = [chat_id, user_id]
            query = self._database.dialect(_MEMBER)
            rows = await client.execute_query_dict(query, pair) if is_id(user_id) else []
            if not rows:
                raise UnknownUser(user_id)
            if role is not None:
                _check_role(room.kind, Role(rows[0]["role"]))
            if user_id == owner_id and (role in (Role.MODERATOR, Role.READER) or muted_until):
                raise InvalidMembers("the owner hands the chat over before")
            wanted = {"role": role, "muted_until": muted_until}
            columns = {name: value for name, value in wanted.items() if value not in (None, rows[0][name])}
            if columns:
                await Membership.filter(chat_id=chat_id, user_id=user_id).update(**columns)
                await client.execute_query(self._database.dialect(_CHANGED), [chat_id])
                await self._notes.member_changed(client, chat_id, room.last_seq, user_id, columns, actor_id)
            return member_of({**rows[0], **columns}), bool(columns)


def _check_role(kind: ChatKind, role: Role) -> None:
    if kind not in (ChatKind.GROUP, ChatKind.PUBLIC) or role in STAFF_ROLES:
        raise InvalidMembers(f"the roles in a {kind} chat stay as they were given")
