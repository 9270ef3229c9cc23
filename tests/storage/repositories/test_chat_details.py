"""Keys and details of chats, with concurrent requests."""

import asyncio

import pytest

from storage.errors import KeyTaken, NoSuchChat
from storage.records import ChatKind, NewMember
from storage.repositories.chat_setup.details import ChatDetailsRepository
from tests.storage.nodes import Node


async def test_concurrent_creations_with_key_give_one_chat(node: Node, other_node: Node) -> None:
    ann = await node.person("ann")
    members = [NewMember(user_id=ann.id)]
    made = await asyncio.gather(
        *(one.chats.create_chat(None, ChatKind.GROUP, "", members, key="k") for one in (node, other_node) * 4)
    )
    assert len({chat.id for chat, _ in made}) == 1
    assert sum(is_new for _, is_new in made) == 1
    assert await node.chats.id_of_key("k") == made[0][0].id
    assert len(await node.database.fetch("SELECT id FROM chats")) == 1


async def test_concurrent_keys_of_direct_chat_give_one(node: Node, other_node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    members = [NewMember(user_id=ann.id), NewMember(user_id=bob.id)]
    await node.chats.create_chat(ann.id, ChatKind.DIRECT, "", members[1:])
    keys = ["k", "k", "other", "k"]
    made = await asyncio.gather(
        *(
            one.chats.create_chat(None, ChatKind.DIRECT, "", members, key=key)
            for one, key in zip((node, other_node) * 2, keys, strict=True)
        ),
        return_exceptions=True,
    )
    taken = [one for one in made if isinstance(one, BaseException)]
    assert {type(one) for one in taken} == {KeyTaken}
    assert len(await node.database.fetch("SELECT key FROM chat_keys")) == 1


async def test_version_counts_changes_only(node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    setup = ChatDetailsRepository(node.database)
    assert await setup.change(chat, ann.id, {"title": "New", "retention_days": 3})
    assert not await setup.change(chat, None, {"title": "New"})
    details = (await setup.details([chat, chat + 1]))[chat]
    assert (details.title, details.retention_days, details.version) == ("New", 3, 2)
    assert (await node.log.positions([chat])).chats[chat].version == 2
    with pytest.raises(NoSuchChat):
        await setup.change(chat + 1, None, {"title": "x"})
