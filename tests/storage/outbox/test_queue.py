"""The outbox, on both databases: what commits write, what is claimed, finished and put off."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from storage.log.event_ranges import EventRanges
from storage.outbox import positions, queue
from storage.outbox.notes import OutboxNotes
from storage.outbox.queue import Outbox
from storage.outbox_records import EventType, Head, Wanted
from storage.records import Person
from tests.storage.aged import make_old
from tests.storage.nodes import Node, deletion, edit, message, outcomes
from tests.storage.outbox.noting import MESSAGES, WANTED, open_noting, spans


@pytest.fixture
async def noting(store_url: str) -> AsyncIterator[tuple[Node, Outbox]]:
    async with open_noting(store_url) as opened:
        yield opened


async def ann_and_chat(node: Node) -> tuple[Person, int]:
    ann = await node.person("ann")
    return ann, await node.group(ann)


async def test_new_endpoint_gets_what_is_committed_from_then_on(node: Node) -> None:
    ann, chat = await ann_and_chat(node)
    await node.say(message(chat, ann))
    outbox = Outbox(node.database, WANTED)
    for _ in range(2):
        await outbox.begin()
        await node.say(message(chat, ann))
    assert spans(await outbox.claim("one", 10, late=False)) == [(chat, 2, 3)]


async def test_endpoint_whose_rows_were_deleted_begins_anew(noting: tuple[Node, Outbox]) -> None:
    node, outbox = noting
    ann, chat = await ann_and_chat(node)
    await node.say(message(chat, ann))
    await node.database.write("DELETE FROM outbox_positions WHERE endpoint = 'one' RETURNING endpoint")
    assert await outbox.claim("one", 10, late=False) == []
    await node.say(message(chat, ann))
    assert spans(await outbox.claim("one", 10, late=False)) == [(chat, 2, 2)]


async def test_claim_has_ranges_of_each_chat(noting: tuple[Node, Outbox]) -> None:
    node, outbox = noting
    ann, chat = await ann_and_chat(node)
    other = await node.group(ann)
    first = await node.say(message(chat, ann))
    await outcomes([node.submit(message(c, ann)) for _ in range(3) for c in (chat, other)])
    await node.say(edit(first, "better"))
    await node.say(deletion(first))
    await node.submit(message(chat, ann, first.text, first.client_msg_id))  # a duplicate
    heads = await outbox.claim("one", 10, late=False)
    assert spans(heads) == [(chat, 1, 6), (other, 1, 3)]
    assert await outbox.claim("one", 10, late=False) == []
    assert await outbox.claim("two", 10, late=False) == []


async def test_events_of_many_chats_are_read_once(noting: tuple[Node, Outbox]) -> None:
    node, outbox = noting
    ann = await node.person("ann")
    chats = [await node.group(ann) for _ in range(20)]
    first = await node.say(message(chats[0], ann))
    await outcomes([node.submit(message(chat, ann)) for _ in range(3) for chat in chats])
    waits = await outbox.backlog("one")
    assert (waits.events, waits.streams, waits.lag_s > 0) == (61, 0, True)
    heads = await outbox.claim("one", 15, late=False)
    assert len(heads) == 15
    heads += await outbox.claim("one", 15, late=False)
    assert sorted(spans(heads)) == [(chats[0], 1, 4), *((chat, 1, 3) for chat in chats[1:])]
    await node.say(edit(first, "better"))
    assert (await outbox.backlog("one")).events == 62
    assert await outbox.claim("one", 15, late=False) == []


async def test_idle_process_leaves_new_commits_to_others(noting: tuple[Node, Outbox]) -> None:
    node, outbox = noting
    ann, chat = await ann_and_chat(node)
    assert not await outbox.is_due("one", late=False)
    await node.say(message(chat, ann))
    assert not await outbox.is_due("one", late=False)
    await make_old(node.database, chat, 1)
    assert await outbox.is_due("one", late=False)
    (head,) = await outbox.claim("one", 10, late=False)
    assert not await outbox.is_due("one", late=False)
    assert not await outbox.is_due("one", late=True)
    await node.say(message(chat, ann))
    await outbox.claim("one", 10, late=False)
    await outbox.finish([(head, 1, True)], [])
    assert await outbox.is_due("one", late=False)


async def test_event_outside_the_log_never_overtakes_the_log(noting: tuple[Node, Outbox]) -> None:
    """Whenever an event of a chat is claimed, all that the log had before is claimed with it."""
    node, outbox = noting
    ann, chat = await ann_and_chat(node)
    notes = OutboxNotes(node.database, Wanted({"one": frozenset(EventType)}))

    async def tell(after_seq: int) -> None:
        async with node.database.transaction() as client:
            await notes.add(client, EventType.CHAT_CHANGED, chat, after_seq, b"{}")

    for late in (False, True):
        seq = 1 + 2 * late
        await node.say(message(chat, ann))
        await tell(seq)
        await node.say(message(chat, ann))
        (head,) = await outbox.claim("one", 10, late=late)
        assert (head.from_seq, head.to_seq, head.extra_to > 0) == (1, seq + 1, True)
        await outbox.put_off([(head, 0)], "500")
        await asyncio.sleep(0.05)


async def test_long_log_is_read_in_parts(noting: tuple[Node, Outbox], monkeypatch: pytest.MonkeyPatch) -> None:
    node, _ = noting
    monkeypatch.setattr(positions, "READ", 7)
    outbox = Outbox(node.database, WANTED)
    ann = await node.person("ann")
    chats = [await node.group(ann) for _ in range(3)]
    await outcomes([node.submit(message(chat, ann)) for _ in range(10) for chat in chats])
    assert sorted(spans(await outbox.claim("one", 10, late=False))) == [(chat, 1, 10) for chat in chats]


async def test_endpoint_gets_only_wanted_kinds(store_url: str) -> None:
    wanted = Wanted({"a": frozenset({EventType.MESSAGE_EDITED}), "b": MESSAGES})
    async with open_noting(store_url, wanted) as (node, outbox):
        ann, chat = await ann_and_chat(node)
        first = await node.say(message(chat, ann))
        assert await outbox.claim("a", 10, late=False) == []
        await node.say(edit(first, "better"))
        assert spans(await outbox.claim("a", 10, late=False)) == [(chat, 2, 2)]
        assert spans(await outbox.claim("b", 10, late=False)) == [(chat, 1, 2)]


async def test_delivered_head_is_deleted(noting: tuple[Node, Outbox]) -> None:
    node, outbox = noting
    ann, chat = await ann_and_chat(node)
    await node.say(message(chat, ann))
    (head,) = await outbox.claim("one", 10, late=False)
    await outbox.finish([(head, 1, True)], [])
    assert await node.database.fetch("SELECT * FROM outbox") == []


async def test_event_during_delivery_stays(noting: tuple[Node, Outbox]) -> None:
    node, outbox = noting
    ann, chat = await ann_and_chat(node)
    await node.say(message(chat, ann))
    (head,) = await outbox.claim("one", 10, late=False)
    await node.say(message(chat, ann))
    await outbox.finish([(head, 1, True)], [])
    (rest,) = await outbox.claim("one", 10, late=False)
    assert spans([rest]) == [(chat, 2, 2)]
    await outbox.finish([(rest, 2, True)], [])
    await node.say(message(chat, ann))
    assert spans(await outbox.claim("one", 10, late=False)) == [(chat, 3, 3)]


async def test_range_that_begins_during_delivery_is_not_widened(noting: tuple[Node, Outbox]) -> None:
    """The claim was for an event that is not in the log, so that nothing of the log had waited."""
    node, outbox = noting
    ann, chat = await ann_and_chat(node)
    await node.say(message(chat, ann))
    (head,) = await outbox.claim("one", 10, late=False)
    await outbox.bury("one", head, [(1, EventType.MESSAGE_CREATED)], [], "500")
    await outbox.finish([(head, 1, True)], [])
    await outbox.replay([letter.id for letter in await outbox.dead_letters(None, 0, 10)])
    (head,) = await outbox.claim("one", 10, late=False)
    await node.say(message(chat, ann))
    await outbox.finish([(head, head.to_seq, True)], [])
    (rest,) = await outbox.claim("one", 10, late=False)
    assert spans([rest]) == [(chat, 2, 2)]


async def test_head_that_others_have_finished_gives_way_to_a_new_one(
    noting: tuple[Node, Outbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim has each chat once. Another process, whose own lease had ended, finishes between its two statements."""
    node, outbox = noting
    ann, chat = await ann_and_chat(node)
    await node.say(message(chat, ann))
    (stalled,) = await outbox.claim("one", 10, late=False)
    await node.database.write("UPDATE outbox SET due_at = 0 RETURNING id")
    fold = outbox._positions.fold

    async def fold_after_others(*arguments: Any) -> list[Head]:
        await outbox.finish([(stalled, 1, True)], [])
        await node.say(message(chat, ann))
        return await fold(*arguments)

    monkeypatch.setattr(outbox._positions, "fold", fold_after_others)
    assert spans(await outbox.claim("one", 10, late=False)) == [(chat, 2, 2)]


async def test_failed_head_waits_for_its_delay(noting: tuple[Node, Outbox]) -> None:
    node, outbox = noting
    ann, chat = await ann_and_chat(node)
    await node.say(message(chat, ann))
    (head,) = await outbox.claim("one", 10, late=False)
    await outbox.put_off([(head, 0.3)], "status 500")
    assert await outbox.claim("one", 10, late=True) == []
    await node.say(message(chat, ann))
    assert await outbox.claim("one", 10, late=False) == [], "an addition must not end the delay"
    await asyncio.sleep(0.4)
    (again,) = await outbox.claim("one", 10, late=True)
    assert (again.from_seq, again.to_seq, again.attempts) == (1, 2, 1)
    assert again.failing_since is not None
    waits = await outbox.backlog("one")
    assert (waits.failing, waits.error) == (1, "status 500")


async def test_lease_of_a_dead_process_expires(noting: tuple[Node, Outbox]) -> None:
    node, outbox = noting
    ann, chat = await ann_and_chat(node)
    await node.say(message(chat, ann))
    await outbox.claim("one", 10, late=False)
    await node.database.write("UPDATE outbox SET due_at = due_at - 31000 RETURNING id")
    assert spans(await outbox.claim("one", 10, late=True)) == [(chat, 1, 1)]


async def test_claims_at_once_never_share_a_head(store_url: str) -> None:
    async with open_noting(store_url) as (node, outbox), open_noting(store_url) as (_, other):
        ann = await node.person("ann")
        chats = [await node.group(ann) for _ in range(40)]
        await outcomes([node.submit(message(chat, ann)) for chat in chats])
        claims = await asyncio.gather(*(where.claim("one", 10, late=False) for where in (outbox, other) * 3))
        streams = [head.stream for heads in claims for head in heads]
        assert len(streams) == len(set(streams))
        rest = await outbox.claim("one", 100, late=False)
        assert {*streams, *(head.stream for head in rest)} == set(chats)


async def test_commits_and_deliveries_at_once_lose_nothing(store_url: str) -> None:
    async with open_noting(store_url) as (node, outbox), open_noting(store_url) as (_, other):
        ann = await node.person("ann")
        chats = [await node.group(ann) for _ in range(5)]
        ranges = EventRanges(node.database)
        seen: dict[int, list[int]] = {chat: [] for chat in chats}
        writing = asyncio.gather(*(node.submit(message(chat, ann)) for _ in range(60) for chat in chats))

        async def deliver(where: Outbox) -> None:
            while not writing.done() or (await where.backlog("one")).streams:
                heads = await where.claim("one", 3, late=False)
                read = await ranges.read([(head.stream, head.from_seq, head.to_seq) for head in heads], 7)
                for head in heads:
                    seen[head.stream] += [one.event.seq for one in read[head.stream]]
                last = {head.stream: read[head.stream][-1].event.seq for head in heads}
                await where.finish([(head, last[head.stream], last[head.stream] == head.to_seq) for head in heads], [])
                await asyncio.sleep(0)

        async with asyncio.timeout(60):
            await asyncio.gather(deliver(outbox), deliver(other))
            await writing
        assert seen == {chat: list(range(1, 61)) for chat in chats}


async def test_dead_letters_are_listed_and_replayed(noting: tuple[Node, Outbox]) -> None:
    node, outbox = noting
    ann, chat = await ann_and_chat(node)
    await node.say(message(chat, ann))
    (head,) = await outbox.claim("one", 10, late=False)
    await outbox.bury("one", head, [(1, EventType.MESSAGE_CREATED)], [], "status 500")
    await outbox.finish([(head, 1, True)], [])
    (letter,) = await outbox.dead_letters("one", 0, 10)
    assert (letter.stream, letter.log_seq, letter.type, letter.error) == (chat, 1, "message.created", "status 500")
    assert await outbox.dead_letters("two", 0, 10) == []
    assert await outbox.dead_letters(None, letter.id, 10) == []
    assert await outbox.replay([letter.id]) == 1
    assert await outbox.replay([letter.id]) == 0
    (head,) = await outbox.claim("one", 10, late=False)
    (extra,) = await outbox.extras("one", [chat])
    assert (extra.log_seq, extra.data, extra.id) == (1, "", head.extra_to)
    await outbox.finish([(head, head.to_seq, True)], [extra.id])
    assert (await outbox.backlog("one")).events == 0


async def test_old_dead_letters_are_deleted(noting: tuple[Node, Outbox]) -> None:
    node, outbox = noting
    ann, chat = await ann_and_chat(node)
    await node.say(message(chat, ann))
    (head,) = await outbox.claim("one", 10, late=False)
    await outbox.bury("one", head, [(1, EventType.MESSAGE_CREATED)], [], "status 500")
    assert await outbox.purge() == 0
    await node.database.write("UPDATE outbox_events SET dead_at = 1 RETURNING id")
    assert await outbox.purge() == 1


async def test_removed_endpoint_is_listed_and_dropped(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "DROPPED", 2)
    everything = frozenset(EventType)
    wanted = Wanted({"old": everything, "kept": everything, "presence": frozenset({EventType.USER_ONLINE})})
    async with open_noting(store_url, wanted) as (node, outbox):
        ann, chat = await ann_and_chat(node)
        others = [await node.group(ann) for _ in range(4)]
        await node.say(message(chat, ann))
        for name in ("old", "kept"):
            heads = {head.stream: head for head in await outbox.claim(name, 10, late=False)}
            await outbox.bury(name, heads[chat], [(1, EventType.MESSAGE_CREATED)], [], "status 500")
            await outbox.finish([(heads[chat], 1, False)], [])
        for other in others:
            await node.say(message(other, ann))
        async with node.database.transaction() as client:
            await OutboxNotes(node.database, wanted).add_many(
                client, EventType.USER_ONLINE, {-5: b"{}", -6: b"{}", -7: b"{}"}
            )
        assert await outbox.endpoints() == ["kept", "old", "presence"]
        before = await outbox.backlog("old")
        assert (before.events, before.dead) == (7, 1)  # 4 of the log

        dropped = [await outbox.drop("old")]
        while not dropped[-1].is_all:
            dropped.append(await outbox.drop("old"))
        assert (len(dropped), sum(one.events for one in dropped)) == (3, 8)
        assert await outbox.endpoints() == ["kept", "presence"]
        assert await outbox.dead_letters("old", 0, 10) == []
        kept = await outbox.backlog("kept")
        assert (kept.events, kept.dead) == (7, 1)
        assert (await outbox.drop("old")).events == 0


async def test_ranges_read_present_states(noting: tuple[Node, Outbox]) -> None:
    node, _ = noting
    ann, chat = await ann_and_chat(node)
    first = await node.say(message(chat, ann, "first"))
    await node.say(edit(first, "better"))
    other = await node.group(ann)
    await outcomes([node.submit(message(other, ann)) for _ in range(5)])
    read = await EventRanges(node.database).read([(chat, 1, 2), (other, 2, 9)], 3)
    assert [(one.event.seq, one.event.text) for one in read[chat]] == [(1, "better"), (2, "better")]
    assert [one.event.seq for one in read[other]] == [2, 3, 4]
    assert read[chat][1].stored_at > read[chat][0].stored_at
    assert await EventRanges(node.database).positions([]) == await node.log.positions([])
