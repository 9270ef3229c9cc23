"""Commits that become visible after others with higher ids, which PostgreSQL allows."""

import asyncpg
import pytest

from storage.outbox import positions
from tests.storage.aged import make_old
from tests.storage.nodes import message
from tests.storage.outbox.noting import open_noting, spans
from tests.support.migrated import make_store

INSERT = """
    INSERT INTO chat_log (id, chat_id, seq, kind, message_id, sender_id, client_msg_id, digest, text, is_edited,
        is_deleted, created_at)
    VALUES ($1, $2, 1, 'message', $1, $3, 'slow' || $1::bigint, '', '', false, false, now())"""


async def test_commit_that_ends_late_is_not_skipped(postgres_url: str) -> None:
    """Its events have lower ids than those of a commit that has ended before it."""
    await make_store(postgres_url)
    async with open_noting(postgres_url) as (node, outbox):
        ann = await node.person("ann")
        early, late, other = [await node.group(ann) for _ in range(3)]
        connection = await asyncpg.connect(postgres_url)
        slow = connection.transaction()
        await slow.start()
        await connection.execute("SELECT FROM chats WHERE id = $1 FOR NO KEY UPDATE", late)
        ids = [await connection.fetchval("SELECT nextval('chat_log_id_seq')") for _ in range(3)]
        await node.say(message(early, ann))
        assert spans(await outbox.claim("one", 10, late=False)) == [(early, 1, 1)]
        await connection.execute(INSERT, ids[1], late, ann.id)
        await node.say(message(other, ann))
        assert spans(await outbox.claim("one", 10, late=False)) == [(other, 1, 1)]
        await slow.commit()
        assert not await outbox.is_due("one", late=False)
        await make_old(node.database, late, 1)
        assert await outbox.is_due("one", late=False)
        assert spans(await outbox.claim("one", 10, late=False)) == [(late, 1, 1)]
        assert await outbox.claim("one", 10, late=False) == []
        rows = await node.database.fetch("SELECT gaps FROM outbox_positions")
        assert [row["gaps"] for row in rows] == [""], "no gap is kept once no transaction can fill it"
        await connection.close()


async def test_new_endpoint_gets_a_commit_that_ends_late(postgres_url: str) -> None:
    """It was under way when the endpoint began, with lower ids than what was committed before."""
    await make_store(postgres_url)
    async with open_noting(postgres_url) as (node, outbox):
        ann = await node.person("ann")
        late, other = [await node.group(ann) for _ in range(2)]
        await node.say(message(other, ann))
        connection = await asyncpg.connect(postgres_url)
        slow = connection.transaction()
        await slow.start()
        await connection.execute("SELECT FROM chats WHERE id = $1 FOR NO KEY UPDATE", late)
        await connection.execute(INSERT, await connection.fetchval("SELECT nextval('chat_log_id_seq')"), late, ann.id)
        await node.say(message(other, ann))
        await outbox.drop("one")
        await outbox.begin()
        await slow.commit()
        assert spans(await outbox.claim("one", 10, late=False)) == [(late, 1, 1)]
        await connection.close()


async def test_many_events_that_commit_late_are_read_in_parts(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read in the order of their ids, before later ones, however many there are."""
    await make_store(postgres_url)
    monkeypatch.setattr(positions, "READ", 2)
    async with open_noting(postgres_url) as (node, outbox):
        ann = await node.person("ann")
        chats = [await node.group(ann) for _ in range(2)]
        other = await node.group(ann)
        connection = await asyncpg.connect(postgres_url)
        slow = connection.transaction()
        await slow.start()
        await connection.execute("SELECT FROM chats WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE", chats)
        for seq in range(1, 6):
            for chat in chats:
                id_ = await connection.fetchval("SELECT nextval('chat_log_id_seq')")
                await connection.execute(INSERT.replace("$2, 1", f"$2, {seq}"), id_, chat, ann.id)
            if seq % 2:
                await node.say(message(other, ann))
        await connection.execute("UPDATE chats SET last_seq = 5 WHERE id = ANY ($1)", chats)
        assert spans(await outbox.claim("one", 10, late=False)) == [(other, 1, 3)]
        await slow.commit()
        await node.say(message(chats[1], ann))
        assert sorted(spans(await outbox.claim("one", 10, late=False))) == [(chats[0], 1, 5), (chats[1], 1, 6)]
        rows = await node.database.fetch("SELECT gaps FROM outbox_positions")
        assert [row["gaps"] for row in rows] == [""]
        await connection.close()
