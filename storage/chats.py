"""Chats, their members and how far each has read. Meets `gateway.membership.Membership`.

Invariants kept here: members change only under the lock of the chat's row, which commits take too, so that nothing is
stored of a sender who is no member; members_version moves in the same transaction. The number of queries never depends
on the number of chats or members.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tortoise.exceptions import IntegrityError
from tortoise.expressions import F

from storage.database import Database
from storage.epoch import epoch_of
from storage.errors import InvalidMembers, NoSuchChat, NotAllowed, UnknownUser
from storage.event_rows import person_of
from storage.ids import are_ids, clamped, is_id
from storage.models import ChatRoom, Membership
from storage.people import resolve
from storage.records import Admission, Chat, ChatKind, ChatPosition, Member, NewMember, PublicChat, Role
from storage.roles import assign_roles, role_in
from storage.together import Together

_MEMBERS = """
SELECT m.chat_id, m.role, m.read_seq, u.id AS user_id, u.login, u.first_name, u.last_name
FROM memberships m JOIN users u ON u.id = m.user_id
"""
_MEMBERS_OF_MY_CHATS = (
    _MEMBERS + "WHERE m.chat_id IN (SELECT chat_id FROM memberships WHERE user_id = $1) ORDER BY m.id"
)
_MY_CHATS = """
SELECT c.id, c.kind, c.title, c.last_seq, c.creator_id, (
    SELECT count(*) FROM chat_log e
    WHERE e.chat_id = c.id AND e.seq > m.read_seq
        AND e.kind = 'message' AND e.sender_id <> m.user_id AND NOT e.is_deleted
) AS unread
FROM memberships m JOIN chats c ON c.id = m.chat_id WHERE m.user_id = $1 ORDER BY c.id
"""
_ONE_CHAT = """
SELECT c.id, c.kind, c.title, c.last_seq, c.creator_id,
    m.role, m.read_seq, u.id AS user_id, u.login, u.first_name, u.last_name
FROM chats c LEFT JOIN memberships m ON m.chat_id = c.id LEFT JOIN users u ON u.id = m.user_id
WHERE c.id = $1 ORDER BY m.id
"""
_MARK_READ = """
UPDATE memberships SET read_seq = c.reach
FROM (SELECT CASE WHEN last_seq < $3 THEN last_seq ELSE $3 END AS reach FROM chats WHERE id = $1) c
WHERE chat_id = $1 AND user_id = $2 AND read_seq < c.reach RETURNING read_seq
"""


class Chats:
    """Every method raises StorageUnavailable when the database does not answer in time; see the seam for the rest."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._admit = f"""
            SELECT m.chat_id, c.kind, c.last_seq, c.members_version, m.role, m.read_seq,
                u.id AS user_id, u.login, u.first_name, u.last_name, {database.epoch_sql} AS epoch
            FROM {database.pairs_table()} JOIN memberships m ON m.chat_id = p.a AND m.user_id = p.b
            JOIN chats c ON c.id = m.chat_id JOIN users u ON u.id = m.user_id CROSS JOIN store_identity s"""
        self._admission = Together(self._admit_all)
        self._chat_ids = f"SELECT user_id, chat_id FROM memberships WHERE user_id {database.among('$1')}"
        self._public = f"""
            SELECT c.last_seq, {database.epoch_sql} AS epoch FROM chats c, store_identity s
            WHERE c.id = $1 AND c.kind = '{ChatKind.PUBLIC}'"""
        self._still_members = f"""
            SELECT m.chat_id, m.user_id FROM {database.pairs_table()}
            JOIN memberships m ON m.chat_id = p.a AND m.user_id = p.b"""

    async def admit(self, chat_id: int, user_id: int) -> Admission | None:
        """The user's place in the chat, in one query; None if there is no such chat or user, or no membership."""
        return await self._admission.ask((chat_id, user_id)) if are_ids(chat_id, user_id) else None

    async def _admit_all(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Admission]:
        admissions = {}
        for row in await self._database.fetch(self._admit, *self._database.pairs(pairs)):
            position = ChatPosition(row["last_seq"], row["members_version"])
            admissions[row["chat_id"], row["user_id"]] = Admission(
                row["chat_id"], ChatKind(row["kind"]), _member(row), position, epoch_of(row["epoch"])
            )
        return admissions

    async def public(self, chat_id: int) -> PublicChat | None:
        """The chat, if it is a public one."""
        rows = await self._database.fetch(self._public, chat_id) if is_id(chat_id) else []
        return PublicChat(chat_id, rows[0]["last_seq"], epoch_of(rows[0]["epoch"])) if rows else None

    async def chat_ids_of(self, user_ids: Sequence[int]) -> dict[int, set[int]]:
        """The chats of each of these users; those without any may be left out."""
        chats: defaultdict[int, set[int]] = defaultdict(set)
        for row in await self._database.fetch(self._chat_ids, self._database.ids(user_ids)):
            chats[row["user_id"]].add(row["chat_id"])
        return chats

    async def still_members(self, pairs: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
        """Those of the (chat_id, user_id) pairs that are members now."""
        rows = await self._database.fetch(self._still_members, *self._database.pairs(pairs))
        return {(row["chat_id"], row["user_id"]) for row in rows}

    async def mark_read(self, chat_id: int, user_id: int, seq: int) -> bool:
        """Move the read position forward to `seq` (never beyond the chat's last); False if it was there already."""
        if not are_ids(chat_id, user_id) or seq < 1:
            return False
        return bool(await self._database.write(_MARK_READ, chat_id, user_id, clamped(seq)))

    async def create_chat(
        self, creator_id: int, kind: ChatKind, title: str, members: Sequence[NewMember]
    ) -> tuple[Chat, bool]:
        """A new chat with the creator in it, and True; for a second `direct` of the same two, the first and False.

        Raises: UnknownUser, InvalidMembers.
        """
        async with self._database.session():
            creator, *others = await resolve([NewMember(user_id=creator_id), *members])
        wanted = [(person, member.role) for person, member in zip(others, members, strict=True)]
        places = assign_roles(kind, creator, wanted)
        direct_key = _direct_key(places) if kind == ChatKind.DIRECT else None
        if (first := await self._direct_chat(direct_key, creator_id)) is not None:
            return first, False
        try:
            async with self._database.transaction():
                room = await ChatRoom.create(kind=kind, title=title, creator_id=creator_id, direct_key=direct_key)
                await Membership.bulk_create(
                    Membership(chat_id=room.id, user_id=place.person.id, role=place.role) for place in places
                )
        except IntegrityError:
            # the other of the two was faster by a moment
            if (first := await self._direct_chat(direct_key, creator_id)) is not None:
                return first, False
            raise
        return Chat(room.id, kind, title, 0, creator_id, tuple(places)), True

    async def chats_of(self, user_id: int) -> list[Chat]:
        """The user's chats with `unread` counted (messages by others, created after the read position)."""
        if not is_id(user_id):
            return []
        rows = await self._database.fetch(_MY_CHATS, user_id)
        members: defaultdict[int, list[Member]] = defaultdict(list)
        for row in await self._database.fetch(_MEMBERS_OF_MY_CHATS, user_id):
            members[row["chat_id"]].append(_member(row))
        return [_chat(row, members[row["id"]], row["unread"]) for row in rows]

    async def chat(self, chat_id: int, user_id: int) -> Chat | None:
        """One chat as this user may see it (a member; anyone, if it is public), every read position included."""
        if not is_id(chat_id):
            return None
        rows = await self._database.fetch(_ONE_CHAT, chat_id)
        members = [_member(row) for row in rows if row["user_id"] is not None]
        if not rows or (rows[0]["kind"] != ChatKind.PUBLIC and all(member.person.id != user_id for member in members)):
            return None
        return _chat(rows[0], members)

    async def add_member(self, chat_id: int, actor_id: int, new: NewMember) -> tuple[Member, bool]:
        """The member, and whether it is new.

        Raises: NoSuchChat, NotAllowed, UnknownUser, InvalidMembers.
        """
        async with self._database.transaction():
            room = await _locked(chat_id, actor_id)
            (person,) = await resolve([new])
            joins_itself = room.kind == ChatKind.PUBLIC and person.id == actor_id
            if actor_id != room.creator_id and not joins_itself:
                raise NotAllowed
            known = await Membership.get_or_none(chat_id=chat_id, user_id=person.id)
            if known is not None:
                return Member(person, known.role, known.read_seq), False
            taken = await Membership.filter(chat_id=chat_id).distinct().values("role")
            role = role_in(room.kind, new.role, {row["role"] for row in taken})
            await Membership.create(chat_id=chat_id, user_id=person.id, role=role)
            await _count_change(chat_id)
            return Member(person, role, read_seq=0), True

    async def remove_member(self, chat_id: int, actor_id: int, user_id: int) -> None:
        """End a membership: the chat's creator ends anyone's, anyone its own.

        Raises: NoSuchChat, NotAllowed, UnknownUser (not a member), InvalidMembers (a direct chat).
        """
        async with self._database.transaction():
            room = await _locked(chat_id, actor_id)
            if actor_id not in (room.creator_id, user_id):
                raise NotAllowed
            if not is_id(user_id) or not await Membership.filter(chat_id=chat_id, user_id=user_id).delete():
                raise UnknownUser(user_id)
            await _count_change(chat_id)

    async def _direct_chat(self, direct_key: str | None, user_id: int) -> Chat | None:
        if direct_key is None:
            return None
        rows = await self._database.fetch("SELECT id FROM chats WHERE direct_key = $1", direct_key)
        return await self.chat(rows[0]["id"], user_id) if rows else None


def _direct_key(members: Sequence[Member]) -> str:
    """What makes the direct chat of these two the only one, whoever of them creates it."""
    return ":".join(str(user_id) for user_id in sorted(member.person.id for member in members))


async def _locked(chat_id: int, actor_id: int) -> ChatRoom:
    """The chat, its members held still until the transaction ends.

    Raises: NoSuchChat (also if the actor may not see it), InvalidMembers if they never change.
    """
    if not is_id(chat_id):
        raise NoSuchChat
    room = await ChatRoom.select_for_update(no_key=True).get_or_none(id=chat_id)
    if room is None or not (room.kind == ChatKind.PUBLIC or await Membership.exists(chat_id=chat_id, user_id=actor_id)):
        raise NoSuchChat
    if room.kind == ChatKind.DIRECT:
        raise InvalidMembers("the two members of a direct chat never change")
    return room


async def _count_change(chat_id: int) -> None:
    await ChatRoom.filter(id=chat_id).update(members_version=F("members_version") + 1)


def _member(row: Mapping[str, Any]) -> Member:
    return Member(person_of(row, "user_id"), Role(row["role"]), row["read_seq"])


def _chat(row: Mapping[str, Any], members: Sequence[Member], unread: int = 0) -> Chat:
    kind = ChatKind(row["kind"])
    return Chat(row["id"], kind, row["title"], row["last_seq"], row["creator_id"], tuple(members), unread)
