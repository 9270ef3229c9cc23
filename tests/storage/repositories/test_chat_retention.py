"""Retention: only the beginning of a log goes, with all that belongs to it, and what stays shows nothing of it."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from storage.log.event_ranges import EventRanges
from storage.records import ChatPosition, Committed, EventKind, Refusal
from storage.repositories.chat_pages import READ_AHEAD
from storage.repositories.upkeep import retention
from storage.repositories.upkeep.retention import ChatRetention
from storage.repositories.users.mentions import Mentions
from tests.storage.aged import make_old
from tests.storage.nodes import Node, edit, message, outcomes, reaction

DAY_S = 86_400


async def clean(node: Node, days: int = 5, later_s: float = 0, **options: Any) -> None:
    """Make a pass on this node, whether or not one is due."""
    await node.database.write("DELETE FROM retention_passes")
    await ChatRetention(node.database, "node", days, now=lambda: time.time() + later_s, **options).work()


async def position(node: Node, chat: int) -> ChatPosition:
    return (await node.log.positions([chat])).chats[chat]


async def count(node: Node, table: str) -> int:
    rows = await node.database.fetch(f"SELECT count(*) AS count FROM {table}")
    found: int = rows[0]["count"]
    return found


async def test_old_beginning_is_removed_in_batches(node: Node, monkeypatch: Any) -> None:
    monkeypatch.setattr(retention, "BATCH", 10)
    monkeypatch.setattr(retention, "_EVENTS", retention._EVENTS.replace("250", "10"))
    ann = await node.person("ann")
    chat, young = await node.group(ann), await node.group(ann)
    await outcomes([node.submit(message(one, ann)) for one in (chat, young) for _ in range(40)])
    await make_old(node.database, chat, 25)
    removed: list[int] = []
    lags: list[float] = []
    await clean(node, on_removed=removed.append, on_lag=lags.append)
    assert removed == [10, 10, 5]
    assert [event.seq for event in await node.history(chat)] == list(range(26, 41))
    assert await position(node, chat) == ChatPosition(40, 1, 1, first_seq=26)
    assert await position(node, young) == ChatPosition(40, 1)
    assert [round(lag / DAY_S) for lag in lags] == [5, 0]
    assert (await node.say(message(chat, ann))).seq == 41
    assert [event.seq for event in await node.log.messages_before(chat, 30, 50)] == [26, 27, 28, 29]


async def test_chat_keeps_events_for_its_own_days(node: Node) -> None:
    ann = await node.person("ann")
    chats = [await node.group(ann) for _ in range(3)]
    for chat in chats:
        await node.say(message(chat, ann))
        await make_old(node.database, chat, 1)
    for chat, days in zip(chats[:2], (20, 5), strict=True):
        await node.database.write("UPDATE chats SET retention_days = $1 WHERE id = $2", days, chat)
    await clean(node, days=0)
    assert [len(await node.history(chat)) for chat in chats] == [1, 0, 1]
    await clean(node, days=8)
    assert [len(await node.history(chat)) for chat in chats] == [1, 0, 0]
    assert [(await position(node, chat)).first_seq for chat in chats] == [1, 2, 2]
    listed = await node.chats.chat_page(ann.id, None, 5)
    assert [(chat.id, chat.first_seq) for chat in listed.items] == [(chats[2], 2), (chats[1], 2), (chats[0], 1)]


async def test_what_belongs_to_removed_messages_goes_too(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat = await node.group(ann, bob)
    secret = await node.say(replace(message(chat, ann, "a secret"), mentions=(bob.id,)))
    await node.say(reaction(secret, bob))
    await node.say(replace(message(chat, bob), reply_to=secret.message_id))
    await make_old(node.database, chat, 3)
    reply = await node.say(replace(message(chat, bob, "yes"), reply_to=secret.message_id, mentions=(ann.id,)))
    await clean(node)
    assert {table: await count(node, table) for table in ("chat_log", "replies", "mentions", "reactions")} == {
        "chat_log": 1,
        "replies": 1,
        "mentions": 1,
        "reactions": 0,
    }
    assert await count(node, "replies WHERE text <> ''") == 0
    (left,) = await node.history(chat)
    assert (left.seq, left.text, left.reply_to and left.reply_to.text) == (reply.seq, "yes", "")
    mentions = Mentions(node.database)
    assert (await mentions.unread(ann.id, [chat]), await mentions.unread(bob.id, [chat])) == ({chat: 1}, {chat: 0})


async def test_change_of_removed_message_is_left_as_deletion(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat = await node.group(ann, bob)
    secret = await node.say(message(chat, ann, "a secret"))
    await make_old(node.database, chat, 1)
    edited = edit(secret, "another secret")
    await node.say(edited)
    await node.say(reaction(secret, bob))
    await clean(node)
    left = await node.history(chat)
    assert [(event.seq, event.message_id, event.text, event.is_deleted, event.by) for event in left] == [
        (2, secret.message_id, "", True, None),
        (3, secret.message_id, "", True, None),
    ]
    assert [event.sender.id for event in left] == [ann.id, bob.id]
    assert left[1].reaction is not None
    ranges = await EventRanges(node.database).read([(chat, 1, 3)], 10)
    assert [entry.event.seq for entry in ranges[chat]] == [2, 3]
    assert await node.log.messages_before(chat, None, 10) == []
    assert await node.submit(edit(secret, "a third")) is Refusal.NO_SUCH_MESSAGE
    assert await node.submit(reaction(secret, bob, "👎")) is Refusal.NO_SUCH_MESSAGE
    again = await node.submit(edited)
    assert isinstance(again, Committed)
    assert (again.duplicate, again.event.seq) == (True, 2)


async def test_unread_counts_what_is_left(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat = await node.group(ann, bob)
    await outcomes([node.submit(message(chat, ann)) for _ in range(READ_AHEAD + 20)])
    await make_old(node.database, chat, READ_AHEAD + 17)
    before = (await node.chats_of(bob.id))[0].unread
    await clean(node)
    assert (before, (await node.chats_of(bob.id))[0].unread) == (100, 3)
    totals = await node.lists.unread_totals(bob.id, datetime.now(UTC))
    assert (totals.chats, totals.messages) == (1, 3)
    await make_old(node.database, chat, READ_AHEAD + 20)
    await clean(node)
    (listed,) = (await node.lists.by_activity(bob.id, None, 10)).chats
    assert (listed.chat.unread, listed.chat.last_seq, listed.last_message) == (0, READ_AHEAD + 20, None)


async def test_node_takes_over_where_another_has_stopped(node: Node, other_node: Node) -> None:
    ann = await node.person("ann")
    chats = [await node.group(ann) for _ in range(2)]
    for chat in chats:
        await node.say(message(chat, ann))
        await make_old(node.database, chat, 1)
    now = int(time.time())
    columns = "id, claimed_by, claimed_until, due_at, chat_cursor"
    claim = f"INSERT INTO retention_passes ({columns}) VALUES (1, 'dead', $1, 0, $2)"
    await node.database.write(claim, now + 20, chats[0])
    work = ChatRetention(other_node.database, "other", 5)
    await work.work()
    assert [len(await node.history(chat)) for chat in chats] == [1, 1], "another node has the claim"
    await node.database.write("UPDATE retention_passes SET claimed_until = claimed_until - 30")
    await ChatRetention(other_node.database, "other", 5).work()
    assert [len(await node.history(chat)) for chat in chats] == [1, 0], "the first one was done, as the claim says"
    (row,) = await node.database.fetch("SELECT due_at, chat_cursor FROM retention_passes")
    assert (row["due_at"] >= now + retention.INTERVAL_S, row["chat_cursor"]) == (True, 0)


async def test_two_nodes_remove_under_load_without_hole(node: Node, other_node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat = await node.group(ann, bob)
    sent = [await node.say(message(chat, ann)) for _ in range(20)]
    is_over = False
    first = 1

    async def load(one: Node) -> list[Committed]:
        done = []
        for number in range(150):
            event = message(chat, ann) if number % 3 else edit(sent[number % 20], "edited")
            done += [o for o in await outcomes([one.submit(event)]) if isinstance(o, Committed)]
        return done

    async def remove(one: Node) -> None:
        while not is_over:
            await make_old(one.database, chat, (await position(one, chat)).last_seq - 10)
            await clean(one)

    async def read() -> None:
        nonlocal first
        while not is_over:
            history = await other_node.history(chat)
            seqs = [event.seq for event in history]
            assert seqs == list(range(seqs[0], seqs[-1] + 1))
            assert seqs[0] >= first
            first = seqs[0]
            stored = {event.message_id for event in history if event.kind is EventKind.MESSAGE}
            ghosts = [event for event in history if event.message_id not in stored and not event.is_deleted]
            assert ghosts == []

    background = [asyncio.create_task(one) for one in (remove(node), remove(other_node), read())]
    committed = [outcome.event.seq for done in await asyncio.gather(load(node), load(other_node)) for outcome in done]
    is_over = True
    await asyncio.gather(*background)
    at = await position(node, chat)
    assert sorted(committed) == list(range(21, at.last_seq + 1))
    assert at.first_seq > 50
    assert [event.seq for event in await node.history(chat)] == list(range(at.first_seq, at.last_seq + 1))


async def test_pass_that_does_not_end_is_reported_overdue(node: Node) -> None:
    start, overdue, later_s = time.time(), list[float](), 0.0
    here = ChatRetention(node.database, "here", 5, on_overdue=overdue.append, now=lambda: start + later_s)
    await here.work()
    assert max(overdue) < 1
    await node.database.write("UPDATE retention_passes SET claimed_until = $1", int(start) + 100_000)  # of another node
    later_s = retention.INTERVAL_S + 5000
    await here.work()
    assert round(overdue[-1]) in (5000, 5001)
    await node.database.write("UPDATE retention_passes SET claimed_until = 0")
    await here.work()
    assert overdue[-1] == 0
