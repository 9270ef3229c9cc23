"""Removed chats: no event without its chat, and nothing that is left of them."""

import asyncio
from typing import Any

from msgspec.structs import replace
from tortoise import models
from tortoise.context import TortoiseContext

from storage.database.tortoise_config import migrating_config
from storage.records import Committed, NewMember, Refusal
from storage.repositories.chat_setup import removals
from storage.repositories.chat_setup.removals import TABLES, ChatRemovals
from tests.storage.nodes import Node, message

KEPT = {"rooms", "chat_keys", "chat_removals", "audit_records", "reactions"}
"""Rooms are never removed, keys go with the removal itself, records outlive chats, reactions go with their message."""


async def rows(node: Node, chat_id: int) -> dict[str, Any]:
    """The numbers of rows that are left of a chat."""
    left = {}
    for table, column in [("chats", "id"), *((table, "chat_id") for table in (*TABLES, "chat_log"))]:
        found = await node.database.fetch(f"SELECT count(*) AS count FROM {table} WHERE {column} = $1", chat_id)
        left[table] = found[0]["count"]
    return {table: count for table, count in left.items() if count}


async def cleared(*nodes: Node, within_s: float = 20) -> None:
    """Let these nodes delete the rows of removed chats until none is left to do."""
    tasks = [asyncio.create_task(ChatRemovals(node.database).run()) for node in nodes]
    try:
        async with asyncio.timeout(within_s):
            while await nodes[0].database.fetch("SELECT chat_id FROM chat_removals WHERE NOT is_done"):
                await asyncio.sleep(0.05)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_every_table_with_a_chat_is_cleared(database_url: str) -> None:
    async with TortoiseContext() as context:
        await context.init(migrating_config(database_url))
        assert context.apps is not None
        found: list[type[models.Model]] = list(context.apps["storage"].values())
        tables = {model._meta.db_table for model in found if "chat_id" in model._meta.fields_db_projection.values()}
    assert tables - KEPT == {*TABLES, "chat_log"}


async def test_messages_sent_during_removal_leave_no_ghost(node: Node, other_node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    for _ in range(5):
        chat = await node.group(ann, bob)
        sending = [
            one.submit(message(chat, who)) for one in (node, other_node) for who in (ann, bob) for _ in range(20)
        ]
        await asyncio.sleep(0)
        await ChatRemovals(other_node.database).remove(chat, ann.id)
        later = [one.submit(message(chat, ann)) for one in (node, other_node)]
        outcomes = await asyncio.gather(*sending)
        assert {outcome for outcome in outcomes if not isinstance(outcome, Committed)} <= {Refusal.NOT_A_MEMBER}
        assert set(await asyncio.gather(*later)) == {Refusal.NOT_A_MEMBER}
        await cleared(node, other_node)
        assert await rows(node, chat) == {}


async def test_large_chat_is_cleared_in_batches(node: Node, other_node: Node, monkeypatch: Any) -> None:
    monkeypatch.setattr(removals, "BATCH", 10)
    monkeypatch.setattr(removals, "LOG_BATCH", 10)
    owner = await node.person("owner")
    members = [await node.person(f"member{number}") for number in range(25)]
    chat, kept = await node.group(owner, *members), await node.group(owner, *members)
    await asyncio.gather(*(node.submit(message(chat, owner)) for _ in range(25)))
    for one in (chat, kept):
        first = await node.say(message(one, owner, "a secret"))
        await node.say(replace(message(one, owner), reply_to=first.message_id))
    await node.chats.remove_member(chat, None, members[0].id)
    await ChatRemovals(node.database).remove(chat, None)
    assert (await rows(node, chat))["memberships"] == 15, "the first batch goes with the removal"
    assert await node.chats.admit(chat, members[-1].id) is None
    assert await node.chats.still_members([(chat, member.id) for member in members]) == set()
    assert [one.id for one in (await node.chats.chat_page(members[-1].id, None, 10)).items] == [kept]
    await cleared(node, other_node)
    assert await rows(node, chat) == {}
    assert (await rows(node, kept))["memberships"] == 26
    assert len(await node.database.fetch("SELECT message_id FROM replies")) == 1, "which have texts of their targets"


async def pass_time(node: Node, seconds: int) -> None:
    """Let claims end so much earlier."""
    await node.database.write("UPDATE chat_removals SET claimed_until = claimed_until - $1", seconds)


async def test_claim_of_dead_node_passes_on(node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    removing, other = (ChatRemovals(node.database, now=lambda: 1000.0, node_id=name) for name in ("one", "other"))
    await removing.remove(chat, None)
    assert await removing.since(1000) == [chat]
    assert await removing.since(1001) == []
    assert await removing._claims.claim() == chat
    await pass_time(node, removals.CLAIM_S - 10)
    assert await removing._claims.hold(chat)
    await pass_time(node, removals.CLAIM_S - 10)
    assert await other._claims.claim() is None
    await pass_time(node, 11)
    assert await other._claims.claim() == chat
    assert not await removing._claims.hold(chat)


async def test_removal_frees_creator_and_quota(node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    await ChatRemovals(node.database).remove(chat, ann.id)
    left = await node.database.fetch("SELECT created_by, creator_id, direct_key FROM chats WHERE id = $1", chat)
    assert [tuple(row.values()) for row in left] == [(None, 0, None)]
    assert (await node.chats.add_member(await node.group(ann), ann.id, NewMember(user_id=ann.id)))[1] is False
