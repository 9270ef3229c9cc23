"""Chats, their members and read positions. Implements `gateway.interfaces.membership.Membership`.

Invariants: members change only under the lock of the chat's row, which commits take too, so that no event of a
non-member is stored; members_version changes in the same transaction. The number of queries never depends on the
number of chats or members.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec.structs import replace
from tortoise.exceptions import IntegrityError
from tortoise.expressions import F

from storage.database.coalescer import Coalescer
from storage.database.database import Database
from storage.database.epoch import epoch_of
from storage.errors import Barred, InvalidMembers, NotAllowed, StaffOnly, UnknownUser
from storage.log.event_rows import to_microseconds
from storage.models import Bar, ChatRoom, FormerMember, Membership
from storage.outbox.chat_notes import ChatNotes
from storage.outbox_records import NOTHING_WANTED, Wanted
from storage.records import (
    BIGINT_MAX,
    STAFF_ROLES,
    SYSTEM,
    Admission,
    Chat,
    ChatKind,
    ChatPosition,
    Member,
    NewMember,
    Page,
    PublicChat,
    ReadPosition,
    Role,
    are_ids,
    clamped,
    is_id,
)
from storage.repositories.chat_pages import UNREAD, ChatPages, member_of
from storage.repositories.chat_setup.blocks import direct_key_of, note_blocks
from storage.repositories.chat_setup.keys import ChatKeys
from storage.repositories.chat_setup.lock import locked_chat
from storage.repositories.chat_setup.roles import may_moderate
from storage.repositories.members import assign_roles, find_people, resolve, role_in
from storage.repositories.owners import owner_among, set_owner, settle_owner
from storage.repositories.quotas import NO_QUOTAS, Quotas
from storage.repositories.read_marks import ReadMarks

# Update and return in one statement: otherwise a read that commits in between would be lost.
_REMOVE = "DELETE FROM memberships WHERE chat_id = $1 AND user_id = $2 RETURNING read_seq"
_KEEP_POSITION = """
INSERT INTO former_members (chat_id, user_id, read_seq) VALUES ($1, $2, $3)
ON CONFLICT (chat_id, user_id) DO UPDATE SET read_seq = excluded.read_seq
"""


class Chats:
    """Every method raises StorageUnavailable if the database does not respond in time; else as in the interface."""

    def __init__(self, database: Database, quotas: Quotas = NO_QUOTAS, wanted: Wanted = NOTHING_WANTED) -> None:
        """`wanted` is what changes write to the outbox."""
        self._database = database
        self._notes = ChatNotes(database, wanted)
        self._quotas = quotas
        self._pages = ChatPages(database)
        self._keys = ChatKeys(database, self._pages)
        self._read_marks = ReadMarks(database)
        self._admit = f"""
            SELECT m.chat_id, c.kind, c.last_seq, c.members_version, c.version, c.first_seq,
                m.role, m.read_seq, m.muted_until,
                u.id AS user_id, u.login, u.first_name, u.last_name, u.display_name, u.avatar_url,
                {database.epoch_sql} AS epoch
            FROM {database.pairs_table()} JOIN memberships m ON m.chat_id = p.a AND m.user_id = p.b
            JOIN chats c ON c.id = m.chat_id AND NOT c.is_removed
            JOIN users u ON u.id = m.user_id CROSS JOIN store_identity s"""
        self._admission = Coalescer(self._admit_all)
        self._chat_ids = f"SELECT user_id, chat_id FROM memberships WHERE user_id {database.among('$1')}"
        self._position = f"""
            SELECT c.last_seq, {database.epoch_sql} AS epoch FROM chats c, store_identity s
            WHERE c.id = $1 AND NOT c.is_removed"""
        self._public = f"{self._position} AND c.kind = '{ChatKind.PUBLIC}'"
        self._read_positions = f"""
            SELECT m.chat_id, m.user_id, m.read_seq, {UNREAD}
            FROM {database.pairs_table()} JOIN memberships m ON m.chat_id = p.a AND m.user_id = p.b
            JOIN chats c ON c.id = m.chat_id"""
        self._still_members = f"""
            SELECT m.chat_id, m.user_id FROM {database.pairs_table()}
            JOIN memberships m ON m.chat_id = p.a AND m.user_id = p.b
            JOIN chats c ON c.id = m.chat_id AND NOT c.is_removed"""

    async def admit(self, chat_id: int, user_id: int) -> Admission | None:
        """The user's membership of the chat, in one query; None if chat, user or membership is missing."""
        return await self._admission.ask((chat_id, user_id)) if are_ids(chat_id, user_id) else None

    async def _admit_all(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Admission]:
        admissions = {}
        for row in await self._database.fetch(self._admit, *self._database.pairs(pairs)):
            position = ChatPosition(row["last_seq"], row["members_version"], row["version"], row["first_seq"])
            admissions[row["chat_id"], row["user_id"]] = Admission(
                row["chat_id"], ChatKind(row["kind"]), member_of(row), position, epoch_of(row["epoch"])
            )
        return admissions

    async def public(self, chat_id: int) -> PublicChat | None:
        """The chat, if it is a public one."""
        return await self._ask_position(self._public, chat_id)

    async def position(self, chat_id: int) -> PublicChat | None:
        """The chat, of any kind."""
        return await self._ask_position(self._position, chat_id)

    async def _ask_position(self, query: str, chat_id: int) -> PublicChat | None:
        rows = await self._database.fetch(query, chat_id) if is_id(chat_id) else []
        return PublicChat(chat_id, rows[0]["last_seq"], epoch_of(rows[0]["epoch"])) if rows else None

    async def chat_ids_of(self, user_ids: Sequence[int]) -> dict[int, set[int]]:
        """The chats of each of these users; users without chats may be left out."""
        chats: defaultdict[int, set[int]] = defaultdict(set)
        for row in await self._database.fetch(self._chat_ids, self._database.ids(user_ids)):
            chats[row["user_id"]].add(row["chat_id"])
        return chats

    async def still_members(self, pairs: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
        """The (chat_id, user_id) pairs among these that are memberships now."""
        rows = await self._database.fetch(self._still_members, *self._database.pairs(pairs))
        return {(row["chat_id"], row["user_id"]) for row in rows}

    async def mark_read(self, chat_id: int, user_id: int, seq: int) -> int | None:
        """Move the read position forward to `seq`, at most to the last of the chat. The new one; None if unchanged."""
        return await self._read_marks.move(chat_id, user_id, seq)

    async def read_positions(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], ReadPosition]:
        """The read positions of the (chat_id, user_id) pairs among these that are memberships."""
        rows = await self._database.fetch(self._read_positions, *self._database.pairs(pairs))
        return {(row["chat_id"], row["user_id"]): ReadPosition(row["read_seq"], row["unread"]) for row in rows}

    async def create_chat(
        self,
        creator_id: int | None,
        kind: ChatKind,
        title: str,
        members: Sequence[NewMember],
        *,
        key: str | None = None,
        data: str = "",
    ) -> tuple[Chat, bool]:
        """A new chat with its creator, and True; for a known key, or a second `direct`, the first one, and False.

        Raises: UnknownUser, InvalidMembers, QuotaExceeded, KeyTaken.
        """
        if key is not None and (first := await self._keys.chat(key, creator_id)) is not None:
            return first, False
        creators = [] if creator_id is None else [NewMember(user_id=creator_id)]
        async with self._database.session():
            people = await resolve([*creators, *members])
        creator = people.pop(0) if creators else None
        wanted = [(person, member.role) for person, member in zip(people, members, strict=True)]
        places = assign_roles(kind, creator, wanted)
        direct_key = _direct_key(places) if kind == ChatKind.DIRECT else None
        if (first := await self._direct_chat(direct_key, creator_id)) is not None:
            return await self._keys.settle(first, key), False
        owner_id = SYSTEM.id if creator_id is None else creator_id
        self._quotas.check_new_members(len(places))
        try:
            async with self._database.transaction() as client:
                if creator_id is not None:
                    await self._quotas.check_chats(creator_id)
                room = await ChatRoom.create(
                    kind=kind,
                    title=title,
                    creator_id=owner_id,
                    created_by=creator_id,
                    direct_key=direct_key,
                    last_activity=to_microseconds(datetime.now(UTC)),
                    data=data,
                )
                if key is not None:
                    await self._keys.give(room.id, key)
                await Membership.bulk_create(
                    Membership(chat_id=room.id, user_id=place.person.id, role=place.role) for place in places
                )
                if direct_key is not None:
                    await note_blocks(room.id, [place.person.id for place in places])
                await self._notes.created(client, room.id, kind, title, places, creator_id, key=key)
        except IntegrityError:
            # the other user, or another request with the key, has just created it
            if key is not None and (first := await self._keys.chat(key, creator_id)) is not None:
                return first, False
            if (first := await self._direct_chat(direct_key, creator_id)) is not None:
                return await self._keys.settle(first, key), False
            raise
        chat = Chat(room.id, kind, title, 0, owner_among(kind, owner_id, places), tuple(places), 0, len(places))
        return replace(chat, key=key, data=data), True

    async def keyed_chat(self, key: str, user_id: int | None) -> Chat | None:
        """The chat with this key, if there is one.

        Raises: KeyTaken if this user may not see it.
        """
        return await self._keys.chat(key, user_id)

    async def id_of_key(self, key: str) -> int | None:
        """The chat with this key, if there is one."""
        return await self._keys.id_of(key)

    async def direct_chat(self, user_id: int, other: NewMember) -> Chat | None:
        """The direct chat of these two users, if there is one.

        Raises: InvalidMembers if the entry names no user.
        """
        async with self._database.session():
            (person,) = await find_people([other])
        if person is None:
            return None
        return await self._direct_chat(direct_key_of(user_id, person.id), user_id)

    async def chat_page(self, user_id: int, before: int | None, limit: int) -> Page[Chat]:
        """The user's chats before this one, the newest first, with their unread counts."""
        if not is_id(user_id):
            return Page((), None)
        return await self._pages.of_user(user_id, BIGINT_MAX if before is None else clamped(before), limit)

    async def chat(self, chat_id: int, user_id: int | None) -> Chat | None:
        """One chat with the read positions of SHOWN_MEMBERS, if this user may see it (anyone, if it is public)."""
        return await self._pages.one(chat_id, user_id) if is_id(chat_id) else None

    async def member_page(self, chat_id: int, after: int | None, limit: int) -> Page[Member]:
        """The chat's members after this user, by ascending id."""
        return await self._pages.members(chat_id, clamped(after or 0), limit) if is_id(chat_id) else Page((), None)

    async def check_owner(self, chat_id: int, user_id: int) -> None:
        """Check that the user owns the chat now.

        Raises: NoSuchChat, NotAllowed, InvalidMembers.
        """
        async with self._database.transaction():
            if user_id != await settle_owner(await _locked(chat_id, user_id)):
                raise NotAllowed

    async def add_member(
        self, chat_id: int, actor_id: int | None, new: NewMember, *, gives_staff_roles: bool = True
    ) -> tuple[Member, bool]:
        """The member and whether it is new; a former member gets its former read position.

        Raises: NoSuchChat, NotAllowed, StaffOnly, Barred, UnknownUser, InvalidMembers, QuotaExceeded.
        """
        async with self._database.transaction() as client:
            room = await _locked(chat_id, actor_id)
            (person,) = await resolve([new])
            joins_itself = room.kind == ChatKind.PUBLIC and person.id == actor_id
            owner_id = await settle_owner(room)
            if not (actor_id is None or actor_id == owner_id or joins_itself):
                raise NotAllowed
            known = await Membership.get_or_none(chat_id=chat_id, user_id=person.id)
            if known is not None:
                return Member(person, known.role, known.read_seq), False
            role = role_in(room.kind, new.role, await _taken_roles(room, new.role))
            if role in STAFF_ROLES and not gives_staff_roles:
                raise StaffOnly
            await self._quotas.check_members(chat_id)
            await self._pass_bar(chat_id, person.id, is_lifted=not joins_itself)
            former = await FormerMember.get_or_none(chat_id=chat_id, user_id=person.id)
            read_seq = 0 if former is None else former.read_seq
            await Membership.create(chat_id=chat_id, user_id=person.id, role=role, read_seq=read_seq)
            await _count_change(chat_id)
            member = Member(person, role, read_seq)
            await self._notes.member_added(client, chat_id, room.last_seq, member, actor_id)
            if owner_id is None and (first_id := await settle_owner(room)) is not None:  # the chat was empty
                await self._notes.changed(client, chat_id, room.last_seq, {"owner_id": first_id}, actor_id)
            return member, True

    @staticmethod
    async def _pass_bar(chat_id: int, user_id: int, *, is_lifted: bool) -> None:
        """Lift the bar of a user whom the owner adds; one who joins by themselves is held back.

        Raises: Barred.
        """
        bars = Bar.filter(chat_id=chat_id, user_id=user_id)
        if is_lifted:
            await bars.delete()
        elif await bars.exists():
            raise Barred

    async def lift_bar(self, chat_id: int, actor_id: int | None, user_id: int) -> None:
        """Let a user who was removed from a public chat join it again. The owner and who removed them may.

        Raises: NoSuchChat, NotAllowed, UnknownUser (not barred), InvalidMembers (a direct chat).
        """
        async with self._database.transaction():
            room = await _locked(chat_id, actor_id)
            bar = await Bar.get_or_none(chat_id=chat_id, user_id=user_id) if is_id(user_id) else None
            may_lift = actor_id is None or actor_id == await settle_owner(room)
            if not may_lift and (bar is None or bar.barred_by != actor_id):
                raise NotAllowed
            if bar is None:
                raise UnknownUser(user_id)
            await bar.delete()

    async def remove_member(self, chat_id: int, actor_id: int | None, user_id: int) -> int | None:
        """Remove a member. The owner may remove anyone; members may remove themselves.

        A member whom someone else removes from a public chat may not join it again until the bar is lifted.
        Returns the new owner, if the owner has left and others remain.
        Raises: NoSuchChat, NotAllowed, UnknownUser (not a member), InvalidMembers (a direct chat).
        """
        async with self._database.transaction() as client:
            room = await _locked(chat_id, actor_id)
            owner_id = await settle_owner(room)
            if actor_id != user_id and not await may_moderate(chat_id, actor_id, user_id, owner_id):
                raise NotAllowed
            pair = [chat_id, user_id]
            removed = await client.execute_query_dict(self._database.dialect(_REMOVE), pair) if is_id(user_id) else []
            if not removed:
                raise UnknownUser(user_id)
            await client.execute_query(self._database.dialect(_KEEP_POSITION), [*pair, removed[0]["read_seq"]])
            await _count_change(chat_id)
            await self._notes.member_removed(client, chat_id, room.last_seq, user_id, actor_id)
            if room.kind == ChatKind.PUBLIC and actor_id != user_id:
                barred_by = SYSTEM.id if actor_id is None else actor_id
                await Bar.filter(chat_id=chat_id, user_id=user_id).delete()
                await Bar.create(chat_id=chat_id, user_id=user_id, barred_by=barred_by)
            if user_id != owner_id:
                return None
            if (successor := await settle_owner(room)) is not None:
                await self._notes.changed(client, chat_id, room.last_seq, {"owner_id": successor}, actor_id)
            return successor

    async def hand_over(self, chat_id: int, actor_id: int | None, user_id: int) -> bool:
        """Make another member the chat's owner; False if it is already. Only the owner may.

        Raises: NoSuchChat, NotAllowed, UnknownUser (not a member), InvalidMembers (a direct chat).
        """
        async with self._database.transaction() as client:
            room = await _locked(chat_id, actor_id)
            owner_id = await settle_owner(room)
            if actor_id is not None and actor_id != owner_id:
                raise NotAllowed
            if not is_id(user_id) or not await Membership.exists(chat_id=chat_id, user_id=user_id):
                raise UnknownUser(user_id)
            await set_owner(room, user_id)
            if user_id != owner_id:
                await self._notes.changed(client, chat_id, room.last_seq, {"owner_id": user_id}, actor_id)
            return user_id != owner_id

    async def _direct_chat(self, direct_key: str | None, user_id: int | None) -> Chat | None:
        if direct_key is None:
            return None
        rows = await self._database.fetch("SELECT id FROM chats WHERE direct_key = $1", direct_key)
        return await self.chat(rows[0]["id"], user_id) if rows else None


def _direct_key(members: Sequence[Member]) -> str:
    """The unique key of the direct chat of these two users, independent of its creator."""
    return direct_key_of(*(member.person.id for member in members))


async def _locked(chat_id: int, actor_id: int | None) -> ChatRoom:
    """The chat, with its members locked until the transaction ends.

    Raises: NoSuchChat (also if the actor may not see it), InvalidMembers if they never change.
    """
    room = await locked_chat(chat_id, actor_id)
    if room.kind == ChatKind.DIRECT:
        raise InvalidMembers("the two members of a direct chat never change")
    return room


async def _taken_roles(room: ChatRoom, wanted: Role | None) -> set[Role]:
    """The roles of the members, if that of a new one depends on them; otherwise none, and no large chat is read."""
    if wanted is not None or room.kind not in (ChatKind.SERVICE, ChatKind.SUPPORT):
        return set()
    rows = await Membership.filter(chat_id=room.id).distinct().values("role")
    return {row["role"] for row in rows}


async def _count_change(chat_id: int) -> None:
    await ChatRoom.filter(id=chat_id).update(members_version=F("members_version") + 1)
