"""Quotas of chats and members, on both databases."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from storage.errors import QuotaExceeded
from storage.records import ChatKind, NewMember, Quota
from storage.repositories.chats import Chats
from storage.repositories.quotas import Quotas
from tests.storage.nodes import Node

MOST = 4


async def made(*calls: Awaitable[Any]) -> int:
    """How many of these calls, all at once, were not stopped by a quota."""
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(one, QuotaExceeded) for one in outcomes if isinstance(one, BaseException)), outcomes
    return sum(not isinstance(one, BaseException) for one in outcomes)


async def test_concurrent_calls_create_no_chat_beyond_quota(node: Node, other_node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    await node.group(ann)
    exceeded: list[Quota] = []
    quotas = Quotas(MOST, 0, exceeded.append)
    chats = [Chats(one.database, quotas) for one in (node, other_node)]
    creates = [chats[i % 2].create_chat(ann.id, ChatKind.GROUP, str(i), []) for i in range(10)]
    assert await made(*creates) == MOST - 1
    assert exceeded == [Quota.CHATS] * (10 - MOST + 1)
    with pytest.raises(QuotaExceeded) as error:
        await chats[0].create_chat(ann.id, ChatKind.DIRECT, "", [NewMember(user_id=bob.id)])
    assert (error.value.quota, error.value.most) == (Quota.CHATS, MOST)
    assert len(await node.chats_of(ann.id)) == MOST
    await chats[0].create_chat(bob.id, ChatKind.GROUP, "Bob's", [])
    await chats[0].create_chat(None, ChatKind.GROUP, "a service's", [NewMember(user_id=ann.id)])


async def test_chat_counts_for_its_creator_and_not_its_owner(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chats = Chats(node.database, Quotas(1))
    chat, _ = await chats.create_chat(ann.id, ChatKind.GROUP, "", [NewMember(user_id=bob.id)])
    await chats.hand_over(chat.id, ann.id, bob.id)
    await chats.remove_member(chat.id, ann.id, ann.id)
    with pytest.raises(QuotaExceeded):
        await chats.create_chat(ann.id, ChatKind.GROUP, "", [])
    await chats.create_chat(bob.id, ChatKind.GROUP, "", [])


async def test_existing_direct_chat_is_found_beyond_quota(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chats = Chats(node.database, Quotas(1))
    first, is_new = await chats.create_chat(ann.id, ChatKind.DIRECT, "", [NewMember(user_id=bob.id)])
    assert is_new
    assert await chats.create_chat(ann.id, ChatKind.DIRECT, "", [NewMember(user_id=bob.id)]) == (first, False)


async def test_concurrent_calls_add_no_member_beyond_quota(node: Node, other_node: Node) -> None:
    people = [await node.person(f"user{number}") for number in range(10)]
    chat = await node.group(*people[:2])
    exceeded: list[Quota] = []
    chats = [Chats(one.database, Quotas(0, MOST, exceeded.append)) for one in (node, other_node)]
    adds = [chats[i % 2].add_member(chat, None, NewMember(user_id=one.id)) for i, one in enumerate(people[2:])]
    assert await made(*adds) == MOST - 2
    assert exceeded == [Quota.MEMBERS] * 6
    shown = await node.chats.chat(chat, None)
    assert shown is not None
    assert len(shown.members) == MOST
    _, is_new = await chats[0].add_member(chat, None, NewMember(user_id=people[1].id))
    assert not is_new, "a member stays one"
    await chats[0].remove_member(chat, None, people[1].id)
    await chats[0].add_member(chat, None, NewMember(user_id=people[1].id))


async def test_public_chat_is_full_for_those_who_join(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chats = Chats(node.database, Quotas(0, 1))
    chat, _ = await chats.create_chat(ann.id, ChatKind.PUBLIC, "", [])
    with pytest.raises(QuotaExceeded) as error:
        await chats.add_member(chat.id, bob.id, NewMember(user_id=bob.id))
    assert error.value.quota == Quota.MEMBERS


async def test_new_chat_has_no_more_members_than_quota(node: Node) -> None:
    people = [await node.person(f"user{number}") for number in range(MOST + 1)]
    chats = Chats(node.database, Quotas(0, MOST))
    members = [NewMember(user_id=one.id) for one in people[1:]]
    with pytest.raises(QuotaExceeded):
        await chats.create_chat(people[0].id, ChatKind.GROUP, "", members)
    assert await node.chats_of(people[0].id) == []
    chat, _ = await chats.create_chat(None, ChatKind.GROUP, "", members)
    assert len(chat.members) == MOST
