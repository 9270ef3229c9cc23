"""What clients make the store do: each call of a repository that serves a request, a connection or a message."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Final

from benchmarks.growth.filling import BUSY_READER, DIRECT_CHAT, GROUP, ISSUER, LARGE_CHAT, PEER, READER, TARGET
from storage.audit_entry import AuditFilter
from storage.database.database import Database, open_database
from storage.list_records import Arrangement
from storage.log.chat_log import StoredChatLog, open_chat_log
from storage.log.transcripts import StoredTranscripts, open_transcripts
from storage.profile_records import ClaimedProfile, Messages
from storage.reaction_records import reaction_text
from storage.records import (
    ChatKind,
    Committed,
    Direction,
    EventKind,
    NewEvent,
    NewLine,
    NewMember,
    Outcome,
    Person,
    Role,
)
from storage.repositories.audit_records import AuditRecords
from storage.repositories.auth.accounts import Accounts
from storage.repositories.auth.login_sessions import LoginSessions
from storage.repositories.chat_lists import StoredChatLists
from storage.repositories.chat_setup.details import ChatDetailsRepository
from storage.repositories.chat_setup.removals import ChatRemovals
from storage.repositories.chat_setup.roles import StoredRoles
from storage.repositories.chats import Chats
from storage.repositories.contacts import ContactRepository
from storage.repositories.identities import Identities
from storage.repositories.profiles import Profiles
from storage.repositories.public_channel import PublicChannelRepository
from storage.repositories.quotas import Quotas
from storage.repositories.revocations import Revocations
from storage.repositories.rooms import RoomRepository
from storage.repositories.staff import StaffRepository
from storage.repositories.users.erasures import Erasures
from storage.repositories.users.exports import Exports
from storage.repositories.users.last_seen import LastSeenRepository
from storage.repositories.users.mentions import Mentions
from storage.repositories.users.present_users import PresentUsers

TEXT: Final = "x" * 80
"""Longer than the stored messages: shorter rows would fill the ends of old pages, where an edit of them has no room."""
_FOREVER: Final = 9_999_999_999
_turns: Final = count(1)
"""Numbers for what must be new at each call."""


class OpenStore:
    """The repositories over one database."""

    def __init__(self, database: Database, log: StoredChatLog, transcripts: StoredTranscripts) -> None:
        self.log, self.transcripts = log, transcripts
        self.accounts = Accounts(database)
        self.audit_records = AuditRecords(database, 3600)
        self.chats = Chats(database, Quotas(chats_of_user=10_000))
        self.contacts = ContactRepository(database)
        self.details = ChatDetailsRepository(database)
        self.erasures = Erasures(database)
        self.exports = Exports(database)
        self.identities = Identities(database)
        self.last_seen = LastSeenRepository(database)
        self.lists = StoredChatLists(database)
        self.mentions = Mentions(database)
        self.present_users = PresentUsers(database)
        self.profiles = Profiles(database)
        self.removals = ChatRemovals(database)
        self.revocations = Revocations(database)
        self.rooms = RoomRepository(database)
        self.public_channel = PublicChannelRepository(database, self.chats)
        self.roles = StoredRoles(database)
        self.sessions = LoginSessions(database)
        self.staff = StaffRepository(database)

    async def commit(
        self,
        kind: EventKind,
        text: str,
        *,
        message_id: int | None = None,
        reply_to: int | None = None,
    ) -> int:
        """Store an event of the reader; the id of its message.

        Raises: RuntimeError if it is refused.
        """
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        reader, name = Person(READER, "user1"), f"new{next(_turns)}"
        event = NewEvent(LARGE_CHAT, reader, name, kind, text, message_id, reply_to=reply_to)
        self.log.submit(event, answered.set_result)
        outcome = await answered
        if not isinstance(outcome, Committed):
            raise RuntimeError(f"not committed: {outcome}")  # noqa: TRY004 - it was refused
        return outcome.event.message_id

    async def amend(self) -> None:
        """A message is sent, edited and deleted."""
        message_id = await self.commit(EventKind.MESSAGE, TEXT)
        await self.commit(EventKind.EDIT, TEXT, message_id=message_id)
        await self.commit(EventKind.DELETE, "", message_id=message_id)

    async def react(self) -> None:
        """A reaction to a message, which is removed then."""
        for removed in (False, True):
            await self.commit(EventKind.REACTION, reaction_text("new", removed=removed), message_id=7)

    async def look(self) -> None:
        """What has moved in all chats, as a node asks for the third time: the first two find out from where to read."""
        last = None
        for _ in range(3):
            last = (await self.log.changes(last, 1000)).look

    async def keep_line(self) -> None:
        """Store a line of a transcript."""
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        line = NewLine(READER, "new", next(_turns), Direction.IN, b"x", True)
        self.transcripts.submit([line], answered.set_result)
        await answered

    async def move_member(self) -> None:
        """Add a member to a group of the reader, and remove it."""
        await self.chats.add_member(GROUP, None, NewMember(user_id=PEER))
        await self.chats.remove_member(GROUP, None, PEER)

    async def move_in_large_chat(self) -> None:
        """The same in the chat of everybody, in the other order."""
        await self.chats.remove_member(LARGE_CHAT, None, PEER)
        await self.chats.add_member(LARGE_CHAT, None, NewMember(user_id=PEER))

    async def block_and_unblock(self) -> None:
        """Block a user and end that."""
        await self.contacts.block(READER, PEER)
        await self.contacts.unblock(READER, PEER)

    async def come_and_go(self) -> None:
        """A user is present and then is not."""
        lease_id = await self.present_users.take_lease()
        await self.present_users.enter(lease_id, [READER, PEER])
        await self.present_users.leave(lease_id, {READER: next(_turns), PEER: next(_turns)})

    async def log_in(self) -> None:
        """A login session begins, is renewed and ends."""
        name = f"new{next(_turns)}"
        await self.sessions.add(READER, name, "secret", name, 0, _FOREVER)
        await self.sessions.rotate(name, name, f"next {name}", _FOREVER)
        await self.sessions.end(READER, name, _FOREVER)
        await self.sessions.end_existing(READER, name, _FOREVER)

    async def register(self) -> None:
        """An invited user registers, changes and resets the password, and is erased."""
        name = f"new{next(_turns)}"
        await self.accounts.invitations.add(name, name, _FOREVER)
        await self.accounts.invitations.has(name, name)
        person = await self.accounts.create(name, "hash", invitation=name)
        await self.accounts.replace_hash(person.id, "hash", "other")
        await self.accounts.change_password(person.id, "other", "third")
        await self.accounts.resets.add(name, person.id, _FOREVER)
        await self.accounts.resets.account_of(name)
        await self.accounts.reset_password(name, "fourth")
        await self.profiles.change(person.id, {"display_name": "New"})
        await self.erasures.request(person.id, Messages.KEEP)

    async def second_factor(self) -> None:
        """A second factor begins, is used and ends."""
        factors = self.accounts.factors
        await factors.remove(READER)
        await factors.start(READER, "secret")
        await factors.confirm(READER, "secret", 1, ["code"])
        await factors.find(READER)
        await factors.use_step(READER, 2)
        await factors.use_recovery_code(READER, "code")

    async def revoke(self) -> None:
        """Tokens, sessions and a user are shut out."""
        await self.revocations.revoke_token(READER, f"new{next(_turns)}")
        await self.revocations.revoke_session(READER, f"new{next(_turns)}", _FOREVER)
        await self.revocations.revoke_issued_before(READER)
        await self.revocations.has(READER, "token", "session")
        await self.revocations.ban(READER, None, "reason")
        await self.revocations.unban(READER)
        await self.sessions.end_all(PEER)
        await self.sessions.revoke_token(READER, f"new{next(_turns)}", _FOREVER)

    async def lift_bar(self) -> None:
        """Bar a user from a public chat, and lift that."""
        chat, _ = await self.chats.create_chat(READER, ChatKind.PUBLIC, "new", [NewMember(user_id=PEER)])
        await self.chats.remove_member(chat.id, READER, PEER)
        await self.chats.lift_bar(chat.id, READER, PEER)

    async def administer(self) -> None:
        """A chat is made, changed, handed over and removed."""
        chat, _ = await self.chats.create_chat(
            READER, ChatKind.GROUP, "new", [NewMember(user_id=PEER)], key=f"new{next(_turns)}"
        )
        await self.details.change(chat.id, READER, {"title": "newer"})
        await self.roles.change(chat.id, READER, PEER, Role.MODERATOR, None)
        await self.chats.hand_over(chat.id, READER, PEER)
        await self.removals.remove(chat.id, PEER)


Call = Callable[[OpenStore], Awaitable[object]]

_NOW: Final = datetime(2100, 1, 1, tzinfo=UTC)
_PAIRS: Final = [(LARGE_CHAT, READER), (DIRECT_CHAT, READER), (GROUP, READER)]
_SEQ: Final = 1_000
"""A place within the log of the large chat at every size."""

CALLS: Final[Mapping[str, Call]] = {
    # connecting and reading
    "admission": lambda s: s.chats.admit(LARGE_CHAT, READER),
    "position of a chat": lambda s: s.chats.position(LARGE_CHAT),
    "a public chat": lambda s: s.chats.public(LARGE_CHAT),
    "positions": lambda s: s.log.positions([LARGE_CHAT, DIRECT_CHAT, GROUP]),
    "recent changes": lambda s: s.look(),
    "epoch": lambda s: s.log.epoch(),
    "chats of users": lambda s: s.chats.chat_ids_of([READER]),
    "still members": lambda s: s.chats.still_members(_PAIRS),
    "read positions": lambda s: s.chats.read_positions(_PAIRS),
    "events after": lambda s: s.log.events_after(LARGE_CHAT, _SEQ, 100),
    "the newest messages": lambda s: s.log.messages_before(LARGE_CHAT, None, 50),
    "older messages": lambda s: s.log.messages_before(LARGE_CHAT, _SEQ, 50),
    "replies": lambda s: s.log.replies_before(LARGE_CHAT, TARGET, None, 50),
    "an event by its id": lambda s: s.log.find(LARGE_CHAT, READER, "id1000"),
    "own reactions": lambda s: s.log.own_reactions(READER, range(1, 51)),
    "a room": lambda s: s.rooms.room("room11"),
    # lists
    "chats by id": lambda s: s.chats.chat_page(READER, None, 50),
    "chats by activity": lambda s: s.lists.by_activity(READER, None, 50),
    "unread chats": lambda s: s.lists.by_activity(READER, None, 50, unread=True),
    "archived chats": lambda s: s.lists.by_activity(READER, None, 50, archived=True),
    "unread totals": lambda s: s.lists.unread_totals(READER, _NOW),
    "busy user's chats by id": lambda s: s.chats.chat_page(BUSY_READER, None, 50),
    "busy user's chats by activity": lambda s: s.lists.by_activity(BUSY_READER, None, 50),
    "busy user's unread chats": lambda s: s.lists.by_activity(BUSY_READER, None, 50, unread=True),
    "busy user's unread totals": lambda s: s.lists.unread_totals(BUSY_READER, _NOW),
    "unread mentions": lambda s: s.mentions.unread(READER, [LARGE_CHAT, GROUP]),
    "one chat": lambda s: s.chats.chat(GROUP, READER),
    "the large chat": lambda s: s.chats.chat(LARGE_CHAT, READER),
    "a chat by its key": lambda s: s.chats.keyed_chat("key3", READER),
    "id of a key": lambda s: s.chats.id_of_key("key3"),
    "a direct chat": lambda s: s.chats.direct_chat(READER, NewMember(user_id=PEER)),
    "chat details": lambda s: s.details.details([LARGE_CHAT, GROUP]),
    "first members": lambda s: s.chats.member_page(LARGE_CHAT, None, 100),
    "later members": lambda s: s.chats.member_page(LARGE_CHAT, 300, 100),
    "removed chats": lambda s: s.removals.since(0),
    # writing
    "message": lambda s: s.commit(EventKind.MESSAGE, TEXT),
    "reply": lambda s: s.commit(EventKind.MESSAGE, TEXT, reply_to=TARGET),
    "edit and deletion": OpenStore.amend,
    "reaction": OpenStore.react,
    "read mark": lambda s: s.chats.mark_read(LARGE_CHAT, READER, next(_turns)),
    "arrangement": lambda s: s.lists.arrange(LARGE_CHAT, READER, Arrangement(is_pinned=True)),
    "new group": lambda s: s.chats.create_chat(READER, ChatKind.GROUP, "new", [NewMember(user_id=PEER)]),
    "bar": OpenStore.lift_bar,
    "a key for a direct chat": lambda s: s.chats.create_chat(
        READER, ChatKind.DIRECT, "", [NewMember(user_id=PEER)], key="direct"
    ),
    "life of a chat": OpenStore.administer,
    "the public channel": lambda s: s.public_channel.enter(READER),
    "member of a group": OpenStore.move_member,
    "member of the large chat": OpenStore.move_in_large_chat,
    "owner": lambda s: s.chats.check_owner(LARGE_CHAT, 1),
    "block": OpenStore.block_and_unblock,
    "transcript line": OpenStore.keep_line,
    # people
    "account by login": lambda s: s.accounts.by_login("user1"),
    "account by id": lambda s: s.accounts.by_user_id(READER),
    "person by id": lambda s: s.accounts.by_id(READER),
    "person of a token": lambda s: s.identities.person(ISSUER, "subject1", "somebody"),
    "person of a token with a name": lambda s: s.identities.person(
        ISSUER, "subject1", "somebody", ClaimedProfile(_FOREVER, display_name="New")
    ),
    "persons by subject": lambda s: s.identities.by_subjects(["subject1", "subject3"], ISSUER),
    "persons by subject of any issuer": lambda s: s.identities.by_subjects(["subject1", "subject3"], ""),
    "profiles by id": lambda s: s.profiles.by_ids([READER, PEER]),
    "profiles by subject": lambda s: s.profiles.by_subjects(ISSUER, ["subject1", "subject3"]),
    "profiles by username": lambda s: s.profiles.by_usernames(["user1", "user2"]),
    "changed profiles": lambda s: s.profiles.changed_since(100, 0, 100),
    "relations": lambda s: s.contacts.relations(READER, [NewMember(user_id=PEER), NewMember(user_id=9)]),
    "blocked users": lambda s: s.contacts.blocked_by(READER),
    "last seen": lambda s: s.last_seen.of([PEER, 9, 10], READER),
    "last seen, for a service": lambda s: s.last_seen.of([PEER, 9, 10], None),
    "presence": OpenStore.come_and_go,
    "seen": lambda s: s.last_seen.write({READER: next(_turns)}),
    "registration": OpenStore.register,
    "staff": lambda s: s.staff.is_staff(READER),
    "change of staff": lambda s: s.staff.set_staff(READER, next(_turns) % 2 == 0),
    # tokens and logins
    "login": OpenStore.log_in,
    "second factor": OpenStore.second_factor,
    "revocation": OpenStore.revoke,
    "logins": lambda s: s.sessions.of_user(READER),
    "a login": lambda s: s.sessions.find("session1"),
    "whether revoked": lambda s: s.sessions.is_revoked(READER, "token", "session"),
    "earliest valid token": lambda s: s.sessions.earliest_iat(READER, "token", "session"),
    "whether banned": lambda s: s.sessions.is_banned(READER),
    "ban": lambda s: s.revocations.ban_of(READER),
    "new revocations": lambda s: s.revocations.since(1),
    # services
    "page of a transcript": lambda s: s.transcripts.page(READER, 0, 100),
    "export of chats": lambda s: s.exports.chats(READER, 0),
    "export of events": lambda s: s.exports.events(READER, LARGE_CHAT, ""),
    "export of blocks": lambda s: s.exports.blocks(READER, 0),
    "export of logins": lambda s: s.exports.sessions(READER),
    "erasure": lambda s: s.erasures.of(READER),
    "audit log": lambda s: s.audit_records.page(AuditFilter(), None, 100),
    "audit log of a user": lambda s: s.audit_records.page(AuditFilter(user_id=READER), None, 100),
    "audit log of an event": lambda s: s.audit_records.page(AuditFilter(event="login"), None, 100),
}

OF_BUSY_USER: Final = frozenset(name for name in CALLS if name.startswith("busy user's"))


@asynccontextmanager
async def open_store(database_url: str) -> AsyncIterator[OpenStore]:
    """The repositories over the migrated database."""
    async with (
        open_database(database_url) as database,
        open_chat_log(database) as log,
        open_transcripts(database) as transcripts,
    ):
        yield OpenStore(database, log, transcripts)
