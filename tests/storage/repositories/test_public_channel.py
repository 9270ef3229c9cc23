"""One public channel for all users, the same on both databases."""

import asyncio

from storage.records import ChatKind
from storage.repositories.public_channel import TITLE, PublicChannelRepository
from tests.storage.nodes import Node, message


def channel_of(node: Node) -> PublicChannelRepository:
    return PublicChannelRepository(node.database, node.chats)


async def test_concurrent_first_uses_create_one_channel(node: Node, other_node: Node) -> None:
    people = [await node.person(f"user{number}") for number in range(8)]
    places = [(channel_of(where), person) for person in people for where in (node, other_node)]
    entered = await asyncio.gather(*(channel.enter(person.id) for channel, person in places))
    assert len({admission.chat_id for admission, _ in entered}) == 1
    assert len(await node.database.fetch("SELECT id FROM chats")) == 1
    assert [admission.member.person for admission, _ in entered] == [person for _, person in places]


async def test_entering_user_becomes_a_member(node: Node, other_node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    channel = channel_of(node)
    admission, is_new = await channel.enter(ann.id)
    assert (admission.chat_kind, is_new) == (ChatKind.PUBLIC, True)
    event = await node.say(message(admission.chat_id, ann, "hello"))
    again, is_new = await channel_of(other_node).enter(ann.id)
    assert (again.chat_id, again.position.last_seq, is_new) == (admission.chat_id, event.seq, False)
    assert [chat.title for chat in await node.chats_of(ann.id)] == [TITLE]
    assert await node.chats_of(bob.id) == []


async def test_former_member_may_enter_again(node: Node) -> None:
    ann = await node.person("ann")
    channel = channel_of(node)
    admission, _ = await channel.enter(ann.id)
    await node.chats.remove_member(admission.chat_id, ann.id, ann.id)
    assert (await channel.enter(ann.id))[1]
