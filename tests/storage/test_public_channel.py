"""One public channel for everybody, the same on both databases."""

import asyncio

from storage.public_channel import TITLE, PublicChannel
from storage.records import ChatKind
from tests.storage.nodes import Node, message


def channel_of(node: Node) -> PublicChannel:
    return PublicChannel(node.database, node.chats)


async def test_nodes_that_need_it_first_and_at_once_make_one(node: Node, other_node: Node) -> None:
    people = [await node.person(f"user{number}") for number in range(8)]
    places = [(channel_of(where), person) for person in people for where in (node, other_node)]
    entered = await asyncio.gather(*(channel.enter(person.id) for channel, person in places))
    assert len({admission.chat_id for admission, _ in entered}) == 1
    assert len(await node.database.fetch("SELECT id FROM chats")) == 1
    assert [admission.member.person for admission, _ in entered] == [person for _, person in places]


async def test_who_enters_is_a_member_from_then_on_and_may_speak(node: Node, other_node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    channel = channel_of(node)
    admission, is_new = await channel.enter(ann.id)
    assert (admission.chat_kind, is_new) == (ChatKind.PUBLIC, True)
    event = await node.say(message(admission.chat_id, ann, "hello"))
    again, is_new = await channel_of(other_node).enter(ann.id)
    assert (again.chat_id, again.position.last_seq, is_new) == (admission.chat_id, event.seq, False)
    assert [chat.title for chat in await node.chats.chats_of(ann.id)] == [TITLE]
    assert await node.chats.chats_of(bob.id) == []


async def test_who_has_left_it_may_come_again(node: Node) -> None:
    ann = await node.person("ann")
    channel = channel_of(node)
    admission, _ = await channel.enter(ann.id)
    await node.chats.remove_member(admission.chat_id, ann.id, ann.id)
    assert (await channel.enter(ann.id))[1]
