"""The guarantees of the log, on both databases."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from gateway.interfaces.chat_log import ChatLog
from storage.database.store_identity import count_restore
from storage.log.commit import MAX_EDITS
from storage.log.commit_postgres import SQL
from storage.records import BIGINT_MAX, ChatPosition, Committed, EventKind, NewEvent, NewMember, Refusal
from tests.storage.nodes import Node, deletion, edit, message, open_node, outcomes


def meets_the_seam(node: Node) -> ChatLog:
    return node.log


async def test_seq_counts_from_one_without_gaps(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat, other = await node.group(ann, bob), await node.group(bob, ann)
    answers = await outcomes(
        [node.submit(message(c, who)) for _ in range(150) for c in (chat, other) for who in (ann, bob)]
    )
    assert all(isinstance(answer, Committed) for answer in answers)
    for one in (chat, other):
        assert [event.seq for event in await node.history(one)] == list(range(1, 301))
    assert (await node.log.positions([chat, other])).chats == {chat: ChatPosition(300, 1), other: ChatPosition(300, 1)}
    assert len(node.batches) < 60, "events that arrive together must be committed together"


async def test_stored_event_has_all_fields(node: Node) -> None:
    ann = await node.accounts.create("Ann", "hash", "Anna", "Smith")
    chat = await node.group(ann)
    event = await node.say(message(chat, ann, "привет 👋", "first"))
    assert (event.seq, event.kind, event.text, event.client_msg_id) == (1, EventKind.MESSAGE, "привет 👋", "first")
    assert (event.sender, event.is_edited, event.is_deleted) == (ann, False, False)
    assert event.created_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - event.created_at) < timedelta(seconds=30)
    assert await node.history(chat) == [event]
    assert await node.log.messages_before(chat, None, 10) == [event]
    assert await node.log.find(chat, ann.id, "first") == event
    assert await node.log.find(chat, ann.id, "second") is None


async def test_done_is_called_in_seq_order(node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    seen: list[int] = []
    futures = []
    for _ in range(500):
        future = node.submit(message(chat, ann))
        future.add_done_callback(lambda f: seen.append(f.result().event.seq))  # type: ignore[union-attr]
        futures.append(future)
        if random.random() < 0.05:
            await asyncio.sleep(0)
    await outcomes(futures)
    await asyncio.sleep(0)
    assert seen == list(range(1, 501))


async def test_retry_returns_the_first_outcome(node: Node, other_node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    first = await node.say(message(chat, ann, "once", "id"))
    for where in (node, other_node):
        assert await where.submit(message(chat, ann, "once", "id")) == Committed(first, duplicate=True)
    assert len(await node.history(chat)) == 1


async def test_concurrent_retries_of_one_id_are_stored_once(node: Node, other_node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    answers = await outcomes(
        [where.submit(message(chat, ann, "once", "id")) for _ in range(50) for where in (node, other_node)]
    )
    assert all(isinstance(answer, Committed) for answer in answers)
    assert [answer.duplicate for answer in answers].count(False) == 1  # type: ignore[union-attr]
    assert len(await node.history(chat)) == 1
    assert (await node.log.positions([chat])).chats[chat].last_seq == 1


async def test_id_with_other_content_is_rejected(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat, other = await node.group(ann, bob), await node.group(ann, bob)
    first = await node.say(message(chat, ann, "one", "id"))
    assert await node.submit(message(chat, ann, "two", "id")) is Refusal.ID_REUSED
    assert await node.submit(edit(first, "one", client_msg_id="id")) is Refusal.ID_REUSED
    assert await outcomes([node.submit(message(chat, ann, t, "new")) for t in "ab"]) == [
        Committed((await node.history(chat))[-1]),
        Refusal.ID_REUSED,
    ]
    await node.say(message(chat, bob, "two", "id"))
    await node.say(message(other, ann, "two", "id"))


async def test_only_members_write(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat = await node.group(ann)
    first = await node.say(message(chat, ann))
    for event in (message(chat, bob), edit(first, "mine", bob), deletion(first, bob), message(999_999, ann)):
        assert await node.submit(event) is Refusal.NOT_A_MEMBER
    assert await node.submit(message(BIGINT_MAX + 1, ann)) is Refusal.NOT_A_MEMBER
    assert await node.submit(message(-1, ann)) is Refusal.NOT_A_MEMBER
    await node.chats.add_member(chat, ann.id, NewMember(user_id=bob.id))
    await node.say(message(chat, bob))
    await node.chats.remove_member(chat, ann.id, bob.id)
    assert await node.submit(message(chat, bob)) is Refusal.NOT_A_MEMBER
    assert len(await node.history(chat)) == 2


async def test_edit_takes_a_seq_and_changes_the_message(node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    first = await node.say(message(chat, ann, "helo"))
    second = await node.say(message(chat, ann, "next"))
    edited = await node.say(edit(first, "hello"))
    assert (edited.seq, edited.kind, edited.message_id, edited.text) == (3, EventKind.EDIT, first.message_id, "hello")
    assert edited.is_edited
    assert edited.created_at == first.created_at
    history = await node.history(chat)
    assert [(e.seq, e.message_id, e.text, e.is_edited) for e in history] == [
        (1, first.message_id, "hello", True),
        (2, second.message_id, "next", False),
        (3, first.message_id, "hello", True),
    ]
    assert history[2] == edited
    assert await node.log.messages_before(chat, None, 10) == history[:2]


async def test_deleted_text_is_removed_everywhere(node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    first = await node.say(message(chat, ann, "secret one"))
    await node.say(edit(first, "secret two"))
    deleted = await node.say(deletion(first))
    assert (deleted.seq, deleted.text, deleted.is_deleted) == (3, "", True)
    assert [(e.text, e.is_deleted) for e in await node.history(chat)] == [("", True)] * 3
    assert not await node.database.fetch("SELECT id FROM chat_log WHERE text <> ''")
    assert await node.submit(edit(first, "back")) is Refusal.NO_SUCH_MESSAGE
    assert await node.submit(deletion(first)) is Refusal.NO_SUCH_MESSAGE


async def test_only_the_author_edits_and_deletes(node: Node) -> None:
    ann, bob = await node.person("ann"), await node.person("bob")
    chat, other = await node.group(ann, bob), await node.group(ann, bob)
    first = await node.say(message(chat, ann))
    assert await node.submit(edit(first, "mine", bob)) is Refusal.NOT_THE_AUTHOR
    assert await node.submit(deletion(first, bob)) is Refusal.NOT_THE_AUTHOR
    for target in (999_999, BIGINT_MAX + 1, 0, -5):
        event = NewEvent(chat, ann, "e", EventKind.EDIT, "x", target)
        assert await node.submit(event) is Refusal.NO_SUCH_MESSAGE
    elsewhere = NewEvent(other, ann, "e", EventKind.EDIT, "x", first.message_id)
    assert await node.submit(elsewhere) is Refusal.NO_SUCH_MESSAGE
    assert (await node.history(chat)) == [first]


async def test_edit_event_cannot_be_edited(node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    first = await node.say(message(chat, ann))
    await node.say(edit(first, "two"))
    rows = await node.database.fetch("SELECT id FROM chat_log WHERE kind = 'edit'")
    event = NewEvent(chat, ann, "e", EventKind.EDIT, "x", rows[0]["id"])
    assert await node.submit(event) is Refusal.NO_SUCH_MESSAGE


async def test_edits_and_deletion_in_one_batch_apply_in_order(node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    first = await node.say(message(chat, ann, "a"))
    answers = await outcomes(
        [
            node.submit(event)
            for event in (edit(first, "b"), message(chat, ann), edit(first, "c"), deletion(first), edit(first, "d"))
        ]
    )
    assert node.batches == [1, 5]
    assert [a.event.seq if isinstance(a, Committed) else a for a in answers] == [2, 3, 4, 5, Refusal.NO_SUCH_MESSAGE]
    assert [e.text for e in await node.history(chat)] == ["", "", "hello", "", ""]


async def test_message_is_edited_at_most_100_times(node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    first, other = await node.say(message(chat, ann, "a")), await node.say(message(chat, ann, "b"))
    answers = await outcomes(
        [node.submit(edit(first, f"{n}", client_msg_id=f"edit-{n}")) for n in range(MAX_EDITS + 5)]
    )
    assert [isinstance(answer, Committed) for answer in answers] == [True] * MAX_EDITS + [False] * 5
    assert set(answers[MAX_EDITS:]) == {Refusal.EDIT_LIMIT}
    assert isinstance(await node.submit(edit(first, "0", client_msg_id="edit-0")), Committed), "a retry"
    assert await node.submit(edit(first, "x")) is Refusal.EDIT_LIMIT
    assert len(await node.history(chat)) == 2 + MAX_EDITS, "nothing beyond the limit is stored"
    await node.say(edit(other, "c"))
    deleted = await node.say(deletion(first))
    assert (deleted.kind, deleted.text) == (EventKind.DELETE, "")
    assert f"edit_count >= {MAX_EDITS} " in SQL.read_text(), "PostgreSQL has the same limit"


async def test_retry_is_recognised_after_edit_and_deletion(node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    first = await node.say(message(chat, ann, "one", "id"))
    changed = await node.say(edit(first, "two", client_msg_id="e"))
    answer = await node.submit(message(chat, ann, "one", "id"))
    assert isinstance(answer, Committed)
    assert (answer.duplicate, answer.event.seq, answer.event.text) == (True, 1, "two")
    assert await node.submit(edit(first, "two", client_msg_id="e")) == Committed(changed, duplicate=True)
    await node.say(deletion(first, client_msg_id="d"))
    answer = await node.submit(message(chat, ann, "one", "id"))
    assert isinstance(answer, Committed)
    assert (answer.duplicate, answer.event.text, answer.event.is_deleted) == (True, "", True)
    assert await node.submit(message(chat, ann, "two", "id")) is Refusal.ID_REUSED
    assert (await node.submit(deletion(first, client_msg_id="d"))).duplicate  # type: ignore[union-attr]


async def test_two_nodes_and_many_writers_keep_one_order(node: Node, other_node: Node) -> None:
    people = [await node.person(f"p{i}") for i in range(50)]
    chat = await node.group(people[0], *people[1:])

    async def write(where: Node, index: int) -> list[int]:
        return [(await where.say(message(chat, people[index], f"{n}"))).seq for n in range(5)]

    seqs = await asyncio.gather(*(write(where, i) for where in (node, other_node) for i in range(50)))
    assert all(own == sorted(own) for own in seqs)
    assert sorted(seq for own in seqs for seq in own) == list(range(1, 501))
    assert [e.seq for e in await node.history(chat)] == list(range(1, 501))


async def test_opposite_chat_order_on_two_nodes_does_not_deadlock(node: Node, other_node: Node) -> None:
    ann = await node.person("ann")
    chats = [await node.group(ann) for _ in range(20)]
    for _ in range(10):
        answers = await outcomes(
            [
                *(node.submit(message(chat, ann)) for chat in chats),
                *(other_node.submit(message(chat, ann)) for chat in reversed(chats)),
            ],
            timeout_s=10,
        )
        assert all(isinstance(answer, Committed) for answer in answers)
    positions = (await node.log.positions(chats)).chats
    assert {position.last_seq for position in positions.values()} == {20}


async def test_unstorable_event_does_not_affect_its_batch(node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    bad = message(chat, ann, "lone \ud800 surrogate")
    answers = await outcomes([node.submit(event) for event in (message(chat, ann), bad, message(chat, ann))])
    assert answers[1] is Refusal.NOT_STORABLE
    assert [e.seq for e in await node.history(chat)] == [1, 2], "a rollback must leave no hole"
    nul = await node.submit(message(chat, ann, "nul \0"))
    assert nul is Refusal.NOT_STORABLE or isinstance(nul, Committed)  # PostgreSQL has no NUL in text, SQLite does
    await node.say(message(chat, ann))


async def test_reads_page_through_the_log(node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    await outcomes([node.submit(message(chat, ann, str(n))) for n in range(1, 31)])
    assert [e.seq for e in await node.log.events_after(chat, 10, 5)] == [11, 12, 13, 14, 15]
    assert [e.seq for e in await node.log.messages_before(chat, 10, 5)] == [5, 6, 7, 8, 9]
    assert [e.seq for e in await node.log.messages_before(chat, None, 3)] == [28, 29, 30]
    assert await node.log.events_after(chat, 10**30, 5) == []
    assert len(await node.log.events_after(chat, -(10**30), 50)) == 30
    assert await node.log.events_after(10**30, 0, 5) == []
    assert await node.log.messages_before(10**30, None, 5) == []
    assert await node.log.find(10**30, ann.id, "x") is None


async def test_positions_omit_unknown_chats(node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    assert (await node.log.positions([])).chats == {}
    assert (await node.log.positions([*range(10_000, 10_998), chat, 10**30])).chats == {chat: ChatPosition(0, 1)}


async def test_concurrent_position_queries_share_one_statement(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await node.person("ann")
    chats = [await node.group(ann) for _ in range(3)]
    await node.say(message(chats[0], ann))
    statements = node.count_statements(monkeypatch)
    unknown = 10**6
    found = await asyncio.gather(*(node.log.positions([chat]) for chat in [*chats, unknown, 10**30]))
    assert len(statements) == 1
    assert [one.chats for one in found] == [
        *({chat: ChatPosition(seq, 1)} for chat, seq in zip(chats, (1, 0, 0), strict=True)),
        {},
        {},
    ]
    assert len({one.epoch for one in found}) == 1


async def test_submitted_events_are_committed_on_close(node: Node, store_url: str) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    async with open_node(store_url) as closing:
        futures = [closing.submit(message(chat, ann)) for _ in range(450)]
    assert all(future.done() for future in futures)
    assert all(isinstance(future.result(), Committed) for future in futures)
    assert (await node.log.positions([chat])).chats[chat].last_seq == 450
    assert await closing.submit(message(chat, ann)) is Refusal.UNAVAILABLE


async def test_failing_callback_does_not_affect_others(node: Node) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)

    def fail(_outcome: object) -> None:
        raise RuntimeError("a bug elsewhere")

    node.log.submit(message(chat, ann), fail)
    assert (await node.say(message(chat, ann))).seq == 2


async def test_epoch_belongs_to_store_and_changes_on_restore(node: Node, other_node: Node) -> None:
    epoch = await node.log.epoch()
    assert ":" not in epoch
    assert await other_node.log.epoch() == epoch
    assert (await node.log.positions([])).epoch == epoch
    await count_restore(node.database)
    assert await node.log.epoch() != epoch
