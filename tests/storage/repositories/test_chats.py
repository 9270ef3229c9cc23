"""Membership of chats, on both databases."""

import asyncio

import pytest

from gateway.interfaces.membership import Memberships
from storage.errors import InvalidMembers, NoSuchChat, NotAllowed, UnknownUser
from storage.records import (
    BIGINT_MAX,
    MAX_UNREAD,
    Chat,
    ChatKind,
    ChatPosition,
    Member,
    NewMember,
    Person,
    PublicChat,
    ReadPosition,
    Role,
)
from storage.repositories.chat_pages import READ_AHEAD
from tests.storage.nodes import Node, deletion, edit, message, outcomes


def meets_the_seam(node: Node) -> Memberships:
    return node.chats


def roles_of(chat: Chat) -> dict[str, Role]:
    return {member.person.username: member.role for member in chat.members}


async def trio(node: Node) -> tuple[Person, Person, Person]:
    return await node.person("ann"), await node.person("bob"), await node.person("cid")


async def test_admission_has_all_that_a_connection_needs(node: Node) -> None:
    ann, bob, cid = await trio(node)
    chat = await node.group(ann, bob)
    await node.say(message(chat, ann))
    admission = await node.chats.admit(chat, bob.id)
    assert admission is not None
    assert (admission.chat_id, admission.chat_kind) == (chat, ChatKind.GROUP)
    assert admission.member == Member(bob, Role.MEMBER, read_seq=0)
    assert admission.position == ChatPosition(last_seq=1, members_version=1)
    assert admission.epoch == await node.log.epoch()
    for chat_id, user_id in ((chat, cid.id), (999, bob.id), (chat, 999), (BIGINT_MAX + 1, bob.id), (chat, 10**40)):
        assert await node.chats.admit(chat_id, user_id) is None


async def test_position_of_public_chat_is_available_to_anyone(node: Node) -> None:
    ann = await node.person("ann")
    group = await node.group(ann)
    chat, _ = await node.chats.create_chat(ann.id, ChatKind.PUBLIC, "Square", [])
    await node.say(message(chat.id, ann))
    assert await node.chats.public(chat.id) == PublicChat(chat.id, 1, await node.log.epoch())
    for chat_id in (group, 999, 0, BIGINT_MAX + 1):
        assert await node.chats.public(chat_id) is None


async def test_chats_of_many_users_are_read_in_one_query(node: Node) -> None:
    ann, bob, cid = await trio(node)
    both, alone = await node.group(ann, bob), await node.group(ann)
    found = await node.chats.chat_ids_of([ann.id, bob.id, cid.id, 999, BIGINT_MAX + 1])
    assert {user_id: chats for user_id, chats in found.items() if chats} == {ann.id: {both, alone}, bob.id: {both}}


async def test_members_are_named_by_id_or_login_in_any_case(node: Node) -> None:
    ann, bob, cid = await trio(node)
    members = [NewMember(user_id=bob.id), NewMember(login="CID"), NewMember(login="bob"), NewMember(user_id=ann.id)]
    chat, created = await node.chats.create_chat(ann.id, ChatKind.GROUP, "Team", members)
    assert created
    assert (chat.title, chat.last_seq, chat.owner_id) == ("Team", 0, ann.id)
    assert [member.person for member in chat.members] == [ann, bob, cid]
    assert await node.chats.chat(chat.id, bob.id) == chat


@pytest.mark.parametrize("who", [NewMember(user_id=999), NewMember(login="nobody"), NewMember(user_id=10**40)])
async def test_unknown_member_is_named_in_the_error(node: Node, who: NewMember) -> None:
    ann = await node.person("ann")
    with pytest.raises(UnknownUser) as raised:
        await node.chats.create_chat(ann.id, ChatKind.GROUP, "", [who])
    assert raised.value.who == (who.login or who.user_id)
    assert await node.chats_of(ann.id) == []


async def test_direct_chat_of_two_users_exists_once(node: Node, other_node: Node) -> None:
    ann, bob, cid = await trio(node)
    made = await asyncio.gather(
        *(
            where.chats.create_chat(ann.id, ChatKind.DIRECT, "", [NewMember(user_id=bob.id)])
            for where in (node, other_node)
        ),
        *(
            where.chats.create_chat(bob.id, ChatKind.DIRECT, "", [NewMember(login="ann")])
            for where in (node, other_node)
        ),
    )
    assert [created for _, created in made].count(True) == 1
    assert len({chat.id for chat, _ in made}) == 1
    other, created = await node.chats.create_chat(cid.id, ChatKind.DIRECT, "", [NewMember(user_id=bob.id)])
    assert created
    assert other.id != made[0][0].id


async def test_members_of_direct_chat_never_change(node: Node) -> None:
    ann, bob, cid = await trio(node)
    for members, why in (
        ([], "someone other than yourself"),
        ([ann], "someone other than yourself"),
        ([bob, cid], "one"),
    ):
        with pytest.raises(InvalidMembers, match=why):
            await node.chats.create_chat(ann.id, ChatKind.DIRECT, "", [NewMember(user_id=m.id) for m in members])
    chat = await node.group(ann, bob, kind=ChatKind.DIRECT)
    with pytest.raises(InvalidMembers):
        await node.chats.add_member(chat, ann.id, NewMember(user_id=cid.id))
    with pytest.raises(InvalidMembers):
        await node.chats.remove_member(chat, ann.id, bob.id)
    with pytest.raises(NoSuchChat):
        await node.chats.remove_member(chat, cid.id, bob.id)


@pytest.mark.parametrize(("kind", "lead"), [(ChatKind.SERVICE, Role.MASTER), (ChatKind.SUPPORT, Role.SUPPORT)])
async def test_service_and_support_chats_give_every_member_a_role(node: Node, kind: ChatKind, lead: Role) -> None:
    ann, bob, _ = await trio(node)

    async def created(*members: NewMember) -> dict[str, Role]:
        return roles_of((await node.chats.create_chat(ann.id, kind, "", members))[0])

    assert await created(NewMember(user_id=bob.id)) == {"ann": lead, "bob": Role.CLIENT}
    assert await created(NewMember(user_id=bob.id, role=Role.CLIENT)) == {"ann": lead, "bob": Role.CLIENT}
    assert await created(NewMember(user_id=bob.id, role=lead)) == {"ann": Role.CLIENT, "bob": lead}
    itself = NewMember(user_id=ann.id, role=Role.CLIENT)
    assert await created(itself, NewMember(login="bob")) == {"ann": Role.CLIENT, "bob": lead}
    with pytest.raises(InvalidMembers):
        await created(NewMember(user_id=bob.id, role=Role.MEMBER))
    with pytest.raises(InvalidMembers):
        await created(itself, NewMember(user_id=ann.id, role=lead))


@pytest.mark.parametrize("kind", [ChatKind.GROUP, ChatKind.PUBLIC, ChatKind.DIRECT])
async def test_other_chats_have_plain_members_only(node: Node, kind: ChatKind) -> None:
    ann, bob, _ = await trio(node)
    with pytest.raises(InvalidMembers):
        await node.chats.create_chat(ann.id, kind, "", [NewMember(user_id=bob.id, role=Role.MASTER)])


async def test_creator_adds_and_removes_members(node: Node) -> None:
    ann, bob, cid = await trio(node)
    chat = await node.group(ann, bob)
    assert await node.chats.add_member(chat, ann.id, NewMember(login="cid")) == (Member(cid, Role.MEMBER, 0), True)
    assert await node.chats.add_member(chat, ann.id, NewMember(user_id=cid.id)) == (Member(cid, Role.MEMBER, 0), False)
    with pytest.raises(UnknownUser):
        await node.chats.add_member(chat, ann.id, NewMember(user_id=999))
    with pytest.raises(InvalidMembers):
        await node.chats.add_member(chat, ann.id, NewMember(user_id=(await node.person("dan")).id, role=Role.CLIENT))
    await node.chats.remove_member(chat, ann.id, bob.id)
    with pytest.raises(UnknownUser):
        await node.chats.remove_member(chat, ann.id, bob.id)
    found = await node.chats.chat(chat, cid.id)
    assert found is not None
    assert roles_of(found) == {"ann": Role.MEMBER, "cid": Role.MEMBER}


async def test_members_version_changes_only_with_members(node: Node) -> None:
    ann, bob, cid = await trio(node)
    chat = await node.group(ann, bob)

    async def version() -> int:
        return (await node.log.positions([chat])).chats[chat].members_version

    assert await version() == 1
    await node.chats.add_member(chat, ann.id, NewMember(user_id=cid.id))
    assert await version() == 2
    await node.chats.add_member(chat, ann.id, NewMember(user_id=cid.id))
    await node.say(message(chat, ann))
    await node.chats.mark_read(chat, bob.id, 1)
    assert await version() == 2
    await node.chats.remove_member(chat, bob.id, bob.id)
    assert await version() == 3


async def test_other_members_may_only_leave(node: Node) -> None:
    ann, bob, cid = await trio(node)
    chat = await node.group(ann, bob)
    with pytest.raises(NotAllowed):
        await node.chats.add_member(chat, bob.id, NewMember(user_id=cid.id))
    with pytest.raises(NotAllowed):
        await node.chats.remove_member(chat, bob.id, ann.id)
    for stranger_does in (
        node.chats.add_member(chat, cid.id, NewMember(user_id=cid.id)),
        node.chats.remove_member(chat, cid.id, ann.id),
        node.chats.remove_member(999, ann.id, ann.id),
        node.chats.remove_member(10**40, ann.id, ann.id),
    ):
        with pytest.raises(NoSuchChat):
            await stranger_does
    await node.chats.remove_member(chat, bob.id, bob.id)
    assert await node.chats.admit(chat, bob.id) is None
    assert await node.chats.chat(chat, bob.id) is None


async def test_user_may_join_public_chat_only_for_itself(node: Node) -> None:
    ann, bob, cid = await trio(node)
    chat = await node.group(ann, kind=ChatKind.PUBLIC)
    assert (await node.chats.chat(chat, bob.id)) is not None
    with pytest.raises(NotAllowed):
        await node.chats.add_member(chat, bob.id, NewMember(user_id=cid.id))
    assert await node.chats.add_member(chat, bob.id, NewMember(user_id=bob.id)) == (Member(bob, Role.MEMBER, 0), True)
    await node.chats.remove_member(chat, ann.id, bob.id)
    await node.chats.remove_member(chat, ann.id, ann.id)
    empty = await node.chats.chat(chat, cid.id)
    assert empty is not None
    assert empty.members == ()


async def test_read_position_never_goes_back_or_beyond_last_seq(node: Node) -> None:
    ann, bob, cid = await trio(node)
    chat = await node.group(ann, bob)
    await outcomes([node.submit(message(chat, ann)) for _ in range(5)])
    assert await node.chats.mark_read(chat, bob.id, 3)
    assert not await node.chats.mark_read(chat, bob.id, 3)
    assert not await node.chats.mark_read(chat, bob.id, 2)
    assert not await node.chats.mark_read(chat, bob.id, -1)
    assert await node.chats.mark_read(chat, bob.id, 10**40)
    assert not await node.chats.mark_read(chat, cid.id, 3)
    assert not await node.chats.mark_read(10**40, bob.id, 3)
    admission = await node.chats.admit(chat, bob.id)
    assert admission is not None
    assert admission.member.read_seq == 5
    await asyncio.gather(*(node.chats.mark_read(chat, ann.id, seq) for seq in (4, 1, 5, 2, 3)))
    found = await node.chats.chat(chat, bob.id)
    assert found is not None
    assert [member.read_seq for member in found.members] == [5, 5]


@pytest.mark.parametrize("kind", [ChatKind.GROUP, ChatKind.PUBLIC])
async def test_rejoined_member_keeps_read_position(node: Node, other_node: Node, kind: ChatKind) -> None:
    ann, bob, _ = await trio(node)
    chat = await node.group(ann, bob, kind=kind)
    await outcomes([node.submit(message(chat, ann)) for _ in range(5)])
    for seq in (3, 4):
        await node.chats.mark_read(chat, bob.id, seq)
        await node.chats.remove_member(chat, ann.id, bob.id)
        back, is_new = await other_node.chats.add_member(chat, ann.id, NewMember(user_id=bob.id))
        assert (back.read_seq, is_new) == (seq, True)
        (listed,) = await node.chats_of(bob.id)
        assert listed.unread == 5 - seq
    assert await node.chats.mark_read(chat, bob.id, 5)


async def test_unread_counts_messages_by_others_after_read_position(node: Node) -> None:
    ann, bob, cid = await trio(node)
    chat, quiet = await node.group(ann, bob), await node.group(bob)
    await node.group(ann, cid)
    first = await node.say(message(chat, ann))
    second = await node.say(message(chat, ann))
    await node.say(message(chat, bob))
    await node.say(edit(first, "changed"))

    async def unread(who: Person) -> dict[int, int]:
        return {found.id: found.unread for found in await node.chats_of(who.id)}

    assert await unread(bob) == {chat: 2, quiet: 0}
    assert (await unread(ann))[chat] == 1
    await node.chats.mark_read(chat, bob.id, 1)
    assert (await unread(bob))[chat] == 1
    await node.say(deletion(second))
    assert (await unread(bob))[chat] == 0, "there is nothing left to read"
    listed = (await node.chats_of(bob.id))[0]
    assert (listed.last_seq, [member.person for member in listed.members]) == (5, [ann, bob])


async def test_read_positions_include_unread_counts(node: Node) -> None:
    ann, bob, cid = await trio(node)
    chat, quiet = await node.group(ann, bob), await node.group(bob)
    first = await node.say(message(chat, ann))
    for sender in (ann, bob, ann):
        last = await node.say(message(chat, sender))
    await node.say(edit(first, "changed"))
    await node.say(deletion(last))
    await node.chats.mark_read(chat, bob.id, 1)
    pairs = [(chat, bob.id), (chat, ann.id), (chat, cid.id), (quiet, bob.id), (999, bob.id), (10**40, 1)]
    assert await node.chats.read_positions(pairs) == {
        (chat, bob.id): ReadPosition(1, unread=1),
        (chat, ann.id): ReadPosition(0, unread=1),
        (quiet, bob.id): ReadPosition(0, unread=0),
    }
    assert await node.chats.read_positions([]) == {}


async def test_unread_count_and_its_work_are_bounded(node: Node) -> None:
    ann, bob, _ = await trio(node)
    chat, own = await node.group(ann, bob), await node.group(ann, bob)
    await outcomes([node.submit(message(chat, ann)) for _ in range(MAX_UNREAD + 5)])
    await outcomes([node.submit(message(own, bob)) for _ in range(READ_AHEAD)])
    await node.say(message(own, ann))
    assert await node.chats.read_positions([(chat, bob.id), (own, bob.id)]) == {
        (chat, bob.id): ReadPosition(0, MAX_UNREAD),
        (own, bob.id): ReadPosition(0, MAX_UNREAD),  # too many events to count, though only one is by another
    }
    listed = {found.id: found.unread for found in await node.chats_of(bob.id)}
    assert listed == {chat: MAX_UNREAD, own: MAX_UNREAD}
    await node.chats.mark_read(own, bob.id, 1)
    assert await node.chats.read_positions([(own, bob.id)]) == {(own, bob.id): ReadPosition(1, 1)}


async def test_still_members_returns_valid_pairs(node: Node) -> None:
    ann, bob, cid = await trio(node)
    chat, other = await node.group(ann, bob), await node.group(ann)
    pairs = [(chat, ann.id), (chat, bob.id), (chat, cid.id), (other, bob.id), (other, ann.id), (10**40, 1), (1, -1)]
    assert await node.chats.still_members(pairs) == {(chat, ann.id), (chat, bob.id), (other, ann.id)}
    assert await node.chats.still_members([]) == set()


async def test_chat_list_takes_constant_number_of_queries(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob, _ = await trio(node)
    queries = node.count_statements(monkeypatch)
    for chats in (1, 20):
        for _ in range(chats):
            await node.group(ann, bob)
        queries.clear()
        assert len(await node.chats_of(ann.id)) >= chats
        assert len(queries) == 2


async def test_read_racing_a_removal_is_kept(node: Node, other_node: Node) -> None:
    ann, bob, _ = await trio(node)
    chat = await node.group(ann, bob)
    rounds = 60
    await outcomes([node.submit(message(chat, ann)) for _ in range(rounds)])
    for seq in range(1, rounds + 1):
        reached, _ = await asyncio.gather(
            other_node.chats.mark_read(chat, bob.id, seq), node.chats.remove_member(chat, ann.id, bob.id)
        )
        back, _ = await node.chats.add_member(chat, ann.id, NewMember(user_id=bob.id))
        assert back.read_seq >= (reached or 0)
