"""Owners of chats, transfer and succession, on both databases."""

import asyncio

import pytest

from storage.errors import InvalidMembers, NoSuchChat, NotAllowed, UnknownUser
from storage.models import ChatRoom
from storage.records import ChatKind, NewMember, Person, Role
from storage.repositories.public_channel import PublicChannelRepository
from tests.storage.nodes import Node


async def trio(node: Node) -> tuple[Person, Person, Person]:
    return await node.person("ann"), await node.person("bob"), await node.person("cid")


async def owner(node: Node, chat_id: int, seen_by: Person) -> int | None:
    """The owner that a member sees, the same in the chat and in the list of chats."""
    chat = await node.chats.chat(chat_id, seen_by.id)
    assert chat is not None
    listed = {found.id: found.owner_id for found in await node.chats_of(seen_by.id)}
    assert listed.get(chat_id, chat.owner_id) == chat.owner_id
    return chat.owner_id


async def test_oldest_member_succeeds_leaving_owner(node: Node) -> None:
    ann, bob, cid = await trio(node)
    chat = await node.group(ann, bob, cid)
    assert await owner(node, chat, cid) == ann.id
    assert await node.chats.remove_member(chat, ann.id, ann.id) == bob.id
    assert await owner(node, chat, cid) == bob.id
    await node.chats.add_member(chat, bob.id, NewMember(user_id=ann.id))
    with pytest.raises(NotAllowed):
        await node.chats.remove_member(chat, ann.id, cid.id)
    assert await node.chats.remove_member(chat, bob.id, bob.id) == cid.id, "ann is back, and the youngest"
    assert await node.chats.remove_member(chat, cid.id, cid.id) == ann.id
    assert await node.chats.remove_member(chat, ann.id, ann.id) is None
    assert await node.chats.chat(chat, ann.id) is None


async def test_leaving_member_does_not_change_owner(node: Node) -> None:
    ann, bob, _ = await trio(node)
    chat = await node.group(ann, bob)
    assert await node.chats.remove_member(chat, bob.id, bob.id) is None
    assert await owner(node, chat, ann) == ann.id


async def test_ownership_can_be_transferred_to_a_member(node: Node) -> None:
    ann, bob, cid = await trio(node)
    chat = await node.group(ann, bob)
    assert await node.chats.hand_over(chat, ann.id, bob.id)
    assert await owner(node, chat, ann) == bob.id
    with pytest.raises(NotAllowed):
        await node.chats.add_member(chat, ann.id, NewMember(user_id=cid.id))
    await node.chats.add_member(chat, bob.id, NewMember(user_id=cid.id))
    assert not await node.chats.hand_over(chat, bob.id, bob.id), "to oneself: nothing changes"


async def test_only_owner_transfers_ownership_and_only_to_members(node: Node) -> None:
    ann, bob, cid = await trio(node)
    chat, public = await node.group(ann, bob), await node.group(ann, kind=ChatKind.PUBLIC)
    for user_id in (bob.id, 999):
        with pytest.raises(NotAllowed):
            await node.chats.hand_over(chat, bob.id, user_id)
        with pytest.raises(NotAllowed):
            await node.chats.hand_over(public, bob.id, user_id)
    for user_id in (cid.id, 999, 0, 10**40):
        with pytest.raises(UnknownUser):
            await node.chats.hand_over(chat, ann.id, user_id)
    for chat_id, actor in ((chat, cid), (999, ann), (10**40, ann)):
        with pytest.raises(NoSuchChat):
            await node.chats.hand_over(chat_id, actor.id, bob.id)


async def test_direct_chat_has_no_owner(node: Node) -> None:
    ann, bob, _ = await trio(node)
    chat = await node.group(ann, bob, kind=ChatKind.DIRECT)
    assert await owner(node, chat, ann) is None
    with pytest.raises(InvalidMembers):
        await node.chats.hand_over(chat, ann.id, bob.id)


@pytest.mark.parametrize(("kind", "lead"), [(ChatKind.SERVICE, Role.MASTER), (ChatKind.SUPPORT, Role.SUPPORT)])
async def test_staff_succeed_before_older_clients(node: Node, kind: ChatKind, lead: Role) -> None:
    ann, bob, cid = await trio(node)
    members = [NewMember(user_id=bob.id, role=Role.CLIENT), NewMember(user_id=cid.id, role=lead)]
    chat, _ = await node.chats.create_chat(ann.id, kind, "", members)
    assert await node.chats.remove_member(chat.id, ann.id, ann.id) == cid.id
    assert await node.chats.remove_member(chat.id, cid.id, cid.id) == bob.id, "a client, if no other member is left"
    found = await node.chats.chat(chat.id, bob.id)
    assert found is not None
    assert [member.role for member in found.members] == [Role.CLIENT], "ownership changes no role"


async def test_user_joining_empty_public_chat_becomes_owner(node: Node) -> None:
    ann, bob, cid = await trio(node)
    chat = await node.group(ann, kind=ChatKind.PUBLIC)
    await node.chats.remove_member(chat, ann.id, ann.id)
    assert await owner(node, chat, ann) is None
    with pytest.raises(NotAllowed):
        await node.chats.add_member(chat, ann.id, NewMember(user_id=cid.id))
    for who in (bob, ann):
        await node.chats.add_member(chat, who.id, NewMember(user_id=who.id))
        assert await owner(node, chat, who) == bob.id
    with pytest.raises(NotAllowed):
        await node.chats.remove_member(chat, ann.id, bob.id)


async def test_chat_left_by_creator_in_old_version_has_an_owner(node: Node) -> None:
    """A version before this one let the creator leave without a successor, and may still run beside this one."""
    ann, bob, cid = await trio(node)
    chat = await node.group(ann, bob, cid)
    await node.chats.remove_member(chat, ann.id, ann.id)
    async with node.database.transaction():
        await ChatRoom.filter(id=chat).update(creator_id=ann.id)
    assert await owner(node, chat, cid) == bob.id
    await node.chats.add_member(chat, bob.id, NewMember(user_id=ann.id))
    assert await owner(node, chat, ann) == bob.id, "and keeps it when the creator comes back"


async def test_public_channel_has_no_owner(node: Node) -> None:
    ann, bob, _ = await trio(node)
    channel = PublicChannelRepository(node.database, node.chats)
    admission, _ = await channel.enter(ann.id)
    await channel.enter(bob.id)
    assert await owner(node, admission.chat_id, ann) is None
    with pytest.raises(NotAllowed):
        await node.chats.hand_over(admission.chat_id, ann.id, bob.id)
    with pytest.raises(NotAllowed):
        await node.chats.remove_member(admission.chat_id, ann.id, bob.id)
    assert await node.chats.remove_member(admission.chat_id, ann.id, ann.id) is None
    assert await owner(node, admission.chat_id, bob) is None


async def test_members_leaving_concurrently_leave_one_owner(node: Node, other_node: Node) -> None:
    people = [await node.person(f"p{i}") for i in range(8)]
    chat = await node.group(*people)
    nodes = [node, other_node]
    left = await asyncio.gather(
        *(nodes[i % 2].chats.remove_member(chat, who.id, who.id) for i, who in enumerate(people[:-1])),
    )
    assert people[-1].id in left
    assert await owner(node, chat, people[-1]) == people[-1].id


async def test_transfer_racing_a_leave_ends_with_a_member_as_owner(node: Node, other_node: Node) -> None:
    for i in range(10):
        ann, bob, cid = [await node.person(f"{name}{i}") for name in ("ann", "bob", "cid")]
        chat = await node.group(ann, bob, cid)
        handed, left = await asyncio.gather(
            node.chats.hand_over(chat, ann.id, cid.id),
            other_node.chats.remove_member(chat, cid.id, cid.id),
            return_exceptions=True,
        )
        assert await owner(node, chat, bob) == ann.id
        assert (handed, left) == (True, ann.id) or (isinstance(handed, UnknownUser) and left is None)
