"""What a node is told of the chats that have moved since its last look."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from storage.chat_records import Changes, Look
from storage.database.store_identity import count_restore
from storage.records import ChatPosition, NewMember
from tests.storage.nodes import Node, message


async def look(node: Node, last: Look | None, most: int = 1000) -> Changes:
    return await node.log.changes(last, most)


async def settled(node: Node) -> Look:
    """A look from which the next one is complete and tells nothing that is there now."""
    last = (await look(node, None)).look
    for _ in range(3):
        last = (await look(node, last)).look
    return last


async def test_first_two_looks_are_incomplete(node: Node) -> None:
    first = await look(node, None)
    second = await look(node, first.look)
    assert (first.is_complete, second.is_complete) == (False, False)
    assert (await look(node, second.look)).is_complete


async def test_look_has_new_events_of_chats_and_nothing_else(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chats = [await node.group(ann, bob) for _ in range(3)]
    await node.say(message(chats[0], ann))
    last = await settled(node)
    for _ in range(2):
        await node.say(message(chats[1], ann))
    changes = await look(node, last)
    assert (changes.is_complete, changes.last_seqs, changes.chats) == (True, {chats[1]: 2}, {})
    last = changes.look
    for _ in range(2):  # an event is in two looks, as its transaction may have ended after those of later ids
        last = (await look(node, last)).look
    assert (await look(node, last)).last_seqs == {}


async def test_look_has_chats_whose_members_or_details_changed(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat, other = await node.group(ann), await node.group(ann)
    last = await settled(node)
    await node.chats.add_member(chat, ann.id, NewMember(user_id=bob.id))
    changes = await look(node, last)
    assert (changes.last_seqs, changes.chats) == ({}, {chat: ChatPosition(0, 2)})
    await node.database.write("UPDATE chats SET first_seq = 2, last_seq = 1 WHERE id = $1 RETURNING id", other)
    changes = await look(node, changes.look)
    assert changes.chats[other] == ChatPosition(1, 1, first_seq=2)
    last = await settled(node)
    await node.database.write("UPDATE chats SET version = version + 1 WHERE id = $1 RETURNING id", chat)
    assert (await look(node, last)).chats[chat].version == 2


async def test_look_with_more_than_asked_for_is_incomplete(node: Node) -> None:
    ann = await node.person("ann")
    chats = [await node.group(ann) for _ in range(3)]
    last = await settled(node)
    for chat in chats:
        await node.say(message(chat, ann))
    assert (await look(node, last, 3)).is_complete
    assert not (await look(node, last, 2)).is_complete


async def test_look_of_other_history_is_incomplete(node: Node) -> None:
    last = await settled(node)
    await count_restore(node.database)
    changes = await look(node, last)
    assert changes.epoch != last.epoch
    assert not changes.is_complete
    assert not (await look(node, changes.look)).is_complete


@asynccontextmanager
async def open_transaction(url: str, statement: str, *values: object) -> AsyncIterator[asyncpg.Connection]:
    """The statement has run; its transaction is committed on leaving."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute(statement, *values)
            yield connection
    finally:
        await connection.close()


async def test_late_commits_are_in_a_later_look(postgres_node: Node, postgres_store_url: str) -> None:
    """Transactions that take their ids first and commit last."""
    node = postgres_node
    ann = await node.person("ann")
    slow, slower, quick = [await node.group(ann) for _ in range(3)]
    last = await settled(node)
    copy = """
        INSERT INTO chat_log (chat_id, seq, kind, message_id, sender_id, client_msg_id, digest, text, is_edited,
            is_deleted, created_at)
        VALUES ($1, 1, 'message', 1, $2, 'x', '', '', false, false, now())"""
    async with open_transaction(postgres_store_url, copy, slower, ann.id):
        async with open_transaction(postgres_store_url, copy, slow, ann.id) as changing:
            await changing.execute("UPDATE chats SET version = 7 WHERE id = $1", slow)
            for _ in range(5):  # the looks of a while, in which others commit
                await node.say(message(quick, ann))
                changes = await look(node, last)
                assert changes.is_complete and not changes.chats and changes.last_seqs.keys() == {quick}
                last = changes.look
        changes = await look(node, last)
        assert changes.last_seqs.keys() == {quick, slow}
        assert changes.chats[slow].version == 7
        last = changes.look
        await node.say(message(quick, ann))
    changes = await look(node, last)
    assert slower in changes.last_seqs
    for _ in range(3):
        last = (await look(node, last)).look
    assert (await look(node, last)).last_seqs == {}
