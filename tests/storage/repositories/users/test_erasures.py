"""Erasures of users, on both databases."""

import json
from typing import Any

import pytest

from gateway.node.upkeep.erasures import ErasureJob
from storage.auth_records import RevocationKind
from storage.errors import ErasedIdentity
from storage.outbox.queue import Outbox
from storage.outbox_records import Wanted
from storage.profile_records import ClaimedProfile, Messages
from storage.records import ChatKind, Direction, EventKind, NewEvent, NewLine, NewMember, Person, Refusal
from storage.repositories.auth.login_sessions import LoginSessions
from storage.repositories.contacts import ContactRepository
from storage.repositories.identities import Identities
from storage.repositories.profiles import Profiles
from storage.repositories.revocations import Revocations
from storage.repositories.staff import StaffRepository
from storage.repositories.upkeep.erasure_work import LEASE_S, SETTLE_S, ErasureWork
from storage.repositories.users.erasures import DELETED_NAME, Erasures
from storage.repositories.users.last_seen import LastSeenRepository
from tests.storage.nodes import Node, message

MAIN = "https://main.example"
NOW = 1_700_000_000


class World:
    """A node at a time that tests move."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.now = float(NOW)
        self.erasures = Erasures(node.database, lambda: self.now)
        self.left: list[tuple[int, int]] = []

    def work(self, name: str = "node", **options: Any) -> ErasureWork:
        return ErasureWork(self.node.database, name, now=lambda: self.now, **options)

    async def erase(self, user: Person, messages: Messages = Messages.ERASE, **options: Any) -> None:
        """Request it, and carry it out."""
        assert await self.erasures.request(user.id, messages)
        self.now += SETTLE_S
        await self.carry_out(self.work(**options))

    async def carry_out(self, work: ErasureWork) -> None:
        await ErasureJob(work, lambda *pair: self.left.append(pair), pause_s=0).work()

    async def dump(self) -> str:
        """Every column of every table of texts, as text."""
        tables = ("users", "identities", "chat_log", "transcripts", "login_sessions", "user_erasures", "memberships")
        return "".join([str(await self.node.database.fetch(f"SELECT * FROM {name}")) for name in tables])


@pytest.fixture
def world(node: Node) -> World:
    return World(node)


async def test_erased_user_has_no_name_or_credential(world: World, node: Node) -> None:
    ann = await node.accounts.create("ann-unmistakable", "hash-unmistakable", "Ann-unmistakable", "Lee")
    await LoginSessions(node.database).add(ann.id, "s1", "secret-unmistakable", "digest", NOW, NOW + 999)
    await world.erasures.request(ann.id, Messages.KEEP)
    assert "unmistakable" not in await world.dump()
    assert await node.accounts.by_id(ann.id) is None
    assert await node.accounts.by_login("ann-unmistakable") is None
    assert await Profiles(node.database).by_ids([ann.id]) == []
    assert (await node.accounts.create("ann-unmistakable", "other")).id != ann.id
    (entry,) = await Revocations(node.database).since(0)
    assert (entry.user_id, entry.kind, entry.moment) == (ann.id, RevocationKind.ISSUED_BEFORE, NOW + 1)


async def test_unknown_user_is_not_erased(world: World, node: Node) -> None:
    for user_id in (0, -1, 999, 2**63):
        assert await world.erasures.request(user_id, Messages.KEEP) is None
        assert await world.erasures.of(user_id) is None


async def test_kept_messages_are_those_of_a_deleted_user(world: World, node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat_id = await node.group(ann, bob)
    await node.say(message(chat_id, ann, "hello"))
    await world.erase(ann, Messages.KEEP)
    (event,) = await node.history(chat_id)
    assert (event.text, event.sender.id, event.sender.shown_name) == ("hello", ann.id, DELETED_NAME)
    assert await node.submit(message(chat_id, ann)) is Refusal.NOT_A_MEMBER
    assert world.left == [(chat_id, ann.id)]
    chat = await node.chats.chat(chat_id, bob.id)
    assert chat is not None
    assert (chat.owner_id, [member.person.id for member in chat.members]) == (bob.id, [bob.id])


async def test_erased_messages_are_deleted_with_seqs_of_their_own(world: World, node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat_id = await node.group(ann, bob)
    said = await node.say(NewEvent(chat_id, ann, "c1", EventKind.MESSAGE, "unmistakable", data='{"x":"unmistakable"}'))
    await node.say(NewEvent(chat_id, ann, "c2", EventKind.EDIT, "unmistakable 2", said.message_id))
    await node.say(message(chat_id, bob, "of bob"))
    gone = await node.say(message(chat_id, ann, "unmistakable 3"))
    await node.say(NewEvent(chat_id, ann, "c3", EventKind.DELETE, "", gone.message_id))
    await world.erase(ann)
    events = await node.history(chat_id)
    assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6]
    assert (events[-1].kind, events[-1].message_id) == (EventKind.DELETE, said.message_id)
    assert [event.text for event in events] == ["", "", "of bob", "", "", ""]
    assert [event.is_deleted for event in events] == [True, True, False, True, True, True]
    assert "unmistakable" not in await world.dump()
    erasure = await world.erasures.of(ann.id)
    assert erasure is not None
    assert (erasure.erased_messages, erasure.finished_at) == (1, world.now)
    assert (await node.say(message(chat_id, bob))).seq == 7


async def test_messages_in_chats_that_were_left_are_erased(world: World, node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chats = [await node.group(bob, ann) for _ in range(3)]
    for chat_id in chats:
        await node.say(message(chat_id, ann, "unmistakable"))
        await node.chats.remove_member(chat_id, ann.id, ann.id)
    await node.database.write("DELETE FROM former_members")
    await world.erase(ann)
    assert "unmistakable" not in await world.dump()
    assert world.left == []


async def test_many_messages_are_erased_in_batches(world: World, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.repositories.upkeep.erasure_work._ROWS", _rows_of(3))
    ann, bob = await node.person("ann"), await node.person("bob")
    chat_id = await node.group(ann, bob)
    for number in range(10):
        await node.say(message(chat_id, ann if number % 3 else bob, f"unmistakable {number}" if number % 3 else "x"))
    await world.erase(ann)
    events = await node.history(chat_id)
    assert [event.seq for event in events] == list(range(1, 17))
    assert {event.text for event in events} == {"", "x"}


def _rows_of(limit: int) -> str:
    from storage.repositories.upkeep import erasure_work

    return erasure_work._ROWS.replace(f"LIMIT {erasure_work.BATCH}", f"LIMIT {limit}")


async def test_direct_chat_stays_with_the_other(world: World, node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat_id = await node.group(ann, bob, kind=ChatKind.DIRECT)
    await node.say(message(chat_id, bob, "of bob"))
    await world.erase(ann)
    chat = await node.chats.chat(chat_id, bob.id)
    assert chat is not None
    assert [member.person.id for member in chat.members] == [bob.id]


async def test_rest_of_the_user_is_removed(world: World, node: Node, request: pytest.FixtureRequest) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    contacts, staff = ContactRepository(node.database), StaffRepository(node.database)
    await contacts.block(ann.id, bob.id)
    await contacts.block(bob.id, ann.id)
    await staff.set_staff(ann.id, True)
    await world.erase(ann)
    assert await contacts.blocked_by(ann.id) == await contacts.blocked_by(bob.id) == []
    assert not await staff.is_staff(ann.id)


async def test_when_the_user_was_seen_is_forgotten(world: World, node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    last_seen = LastSeenRepository(node.database)
    await last_seen.write({ann.id: 1_000, bob.id: 1_000})
    await world.erase(ann)
    await last_seen.write({ann.id: 2_000})  # of a socket that has closed meanwhile
    assert await node.database.fetch("SELECT * FROM last_seen") == [{"user_id": bob.id, "seen_at": 1_000}]


async def test_transcripts_are_removed(world: World, node: Node) -> None:
    import asyncio

    from storage.log.transcripts import open_transcripts

    ann = await node.person("ann")
    async with open_transcripts(node.database) as transcripts:
        stored = asyncio.get_running_loop().create_future()
        lines = [NewLine(ann.id, "s", place, Direction.IN, b"unmistakable", True) for place in range(1, 250)]
        transcripts.submit(lines, stored.set_result)
        assert await stored
        await world.erase(ann)
        assert (await transcripts.page(ann.id, 0, 10)).lines == ()
    (size,) = await node.database.fetch("SELECT sum(bytes) AS bytes FROM transcript_sizes")
    assert size["bytes"] == 0


async def test_repeated_request_changes_nothing(world: World, node: Node) -> None:
    ann = await node.person("ann")
    first = await world.erasures.request(ann.id, Messages.ERASE)
    world.now += 5
    assert await world.erasures.request(ann.id, Messages.KEEP) == first
    assert len(await Revocations(node.database).since(0)) == 1


async def test_kept_messages_can_be_erased_later(world: World, node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat_id = await node.group(ann, bob)
    await node.say(message(chat_id, ann, "unmistakable"))
    await world.erase(ann, Messages.KEEP)
    assert "unmistakable" in await world.dump()
    await world.erase(ann)
    assert "unmistakable" not in await world.dump()


async def test_other_node_goes_on_where_one_stopped(world: World, node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chats = [await node.group(bob, ann) for _ in range(3)]
    for chat_id in chats:
        await node.say(message(chat_id, ann, "unmistakable"))
    await world.erasures.request(ann.id, Messages.ERASE)
    one, two = world.work("one"), world.work("two")
    claimed = await one.claim()
    assert claimed is not None
    assert await one.leave(chats[0], ann.id)
    await one.erase_messages(claimed, chats[0], "")
    assert await two.claim() is None
    await node.database.write("UPDATE user_erasures SET claimed_until = claimed_until - $1", LEASE_S + 1)
    world.now += SETTLE_S
    await world.carry_out(two)
    assert not await one.hold(ann.id)
    assert "unmistakable" not in await world.dump()
    for chat_id in chats:
        assert [event.seq for event in await node.history(chat_id)] == [1, 2]


async def test_erased_user_cannot_be_added_to_a_chat(world: World, node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    await world.erasures.request(ann.id, Messages.KEEP)
    with pytest.raises(Exception, match="unknown user"):
        await node.chats.create_chat(bob.id, ChatKind.GROUP, "", [NewMember(user_id=ann.id)])


async def test_deletions_are_in_the_outbox(world: World, node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat_id = await node.group(ann, bob)
    for _ in range(2):
        await node.say(message(chat_id, ann))
    outbox = Outbox(node.database, Wanted({"hook": frozenset({"message.deleted"})}))
    await outbox.begin()
    await world.erase(ann)
    (head,) = await outbox.claim("hook", 10, late=False)
    assert (head.stream, head.from_seq, head.to_seq) == (chat_id, 3, 4)


async def test_newer_token_of_erased_identity_is_a_new_user(world: World, node: Node) -> None:
    identities = Identities(node.database)
    ann = await identities.person(MAIN, "u-1", "ann", ClaimedProfile(NOW - 9))
    await world.erase(ann)
    with pytest.raises(ErasedIdentity):
        await identities.person(MAIN, "u-1", "ann", ClaimedProfile(NOW))
    again = await identities.person(MAIN, "u-1", "ann", ClaimedProfile(NOW + 1))
    assert again.id != ann.id
    assert (await identities.person(MAIN, "u-2", "ann", ClaimedProfile(0))).id not in (ann.id, again.id)


async def test_service_may_name_an_erased_subject_again(world: World, node: Node) -> None:
    identities = Identities(node.database)
    ann = await identities.person(MAIN, "u-1", "ann")
    await world.erase(ann)
    assert (await identities.person(MAIN, "u-1", "ann")).id != ann.id


@pytest.mark.parametrize("messages", Messages)
async def test_reactions_are_taken_back_by_events(world: World, node: Node, messages: Messages) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat_id = await node.group(ann, bob)
    said = await node.say(message(chat_id, bob, "of bob"))
    for person, key in ((ann, "👍"), (bob, "👍"), (ann, "x")):
        await node.say(
            NewEvent(chat_id, person, f"r-{person.id}-{key}", EventKind.REACTION, f"+{key}", said.message_id)
        )
    await world.erase(ann, messages)
    events = await node.history(chat_id)
    taken = [event.reaction for event in events[4:]]
    assert [(one.user_id, one.removed) for one in taken if one] == [(ann.id, True)] * 2
    assert json.loads(events[0].reactions or "{}") == {"👍": 1}
    assert json.loads(taken[-1].counts if taken[-1] else "") == {"👍": 1}
    assert await node.database.fetch("SELECT user_id FROM reactions") == [{"user_id": bob.id}]


async def test_reactions_to_erased_messages_are_removed(world: World, node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat_id = await node.group(ann, bob)
    said = await node.say(message(chat_id, ann))
    await node.say(NewEvent(chat_id, bob, "r", EventKind.REACTION, "+x", said.message_id))
    await world.erase(ann)
    assert (await node.history(chat_id))[0].reactions is None
    assert await node.database.fetch("SELECT user_id FROM reactions") == []


async def test_quotes_and_mentions_of_erased_messages_are_removed(world: World, node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat_id = await node.group(ann, bob)
    said = await node.say(NewEvent(chat_id, ann, "m", EventKind.MESSAGE, "unmistakable", mentions=(bob.id,)))
    await node.say(
        NewEvent(chat_id, bob, "r", EventKind.MESSAGE, "reply", reply_to=said.message_id, mentions=(ann.id,))
    )
    await world.erase(ann)
    assert await node.database.fetch("SELECT * FROM mentions") == []
    assert "unmistakable" not in str(await node.database.fetch("SELECT * FROM replies"))
    reply = (await node.history(chat_id))[1]
    assert reply.reply_to is not None
    assert reply.reply_to.text == ""
