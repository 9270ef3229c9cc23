"""A batch on SQLite by itself: the pipeline above it would hide a batch that had to be split."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from storage.log.commit import digest_of
from storage.log.commit_sqlite import SqliteCommit
from storage.log.standing_sqlite import _silence
from storage.records import ChatEvent, Committed, EventKind, NewEvent, Outcome, Person, Refusal, Role
from tests.storage.nodes import Node, deletion, edit, message, open_node
from tests.support.migrated import make_store


@pytest.fixture
async def node(sqlite_url: str) -> AsyncIterator[Node]:
    await make_store(sqlite_url)
    async with open_node(sqlite_url) as node:
        yield node


@pytest.fixture
async def commit(node: Node) -> AsyncIterator[SqliteCommit]:
    commit = SqliteCommit(node.database.sqlite_path or "")
    yield commit
    await commit.close()


def event_of(outcome: Outcome) -> ChatEvent:
    assert isinstance(outcome, Committed)
    return outcome.event


async def test_batch_of_one_chat_has_contiguous_seqs(node: Node, commit: SqliteCommit) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    first = [event_of(one) for one in await commit.commit([message(chat, ann), message(chat, ann)])]
    later = event_of((await commit.commit([message(chat, ann)]))[0])
    assert [event.seq for event in (*first, later)] == [1, 2, 3]
    assert await node.history(chat) == [*first, later]


def test_mute_ends_with_its_last_second() -> None:
    row: Any = {"is_blocked": False, "role": Role.MEMBER, "muted_until": 100}
    assert [_silence(row, now_ms) for now_ms in (99_999, 100_000)] == [Refusal.MUTED, None]


async def test_closed_commit_accepts_no_batch(node: Node) -> None:
    commit = SqliteCommit(node.database.sqlite_path or "")
    await commit.close()
    with pytest.raises(RuntimeError):
        await commit.commit([])


async def test_duplicate_has_the_sender_of_the_retry(node: Node, commit: SqliteCommit) -> None:
    ann = await node.person("ann")
    event = message(await node.group(ann), ann)
    await commit.commit([event])
    renamed = Person(ann.id, ann.username, "Ann", "Lee")
    (outcome,) = await commit.commit([replace(event, sender=renamed)])
    assert isinstance(outcome, Committed)
    assert (outcome.duplicate, outcome.event.sender) == (True, renamed)


async def test_deletion_keeps_no_text_but_the_edited_mark(node: Node, commit: SqliteCommit) -> None:
    ann = await node.person("ann")
    target = event_of((await commit.commit([message(await node.group(ann), ann)]))[0])
    edited = event_of((await commit.commit([edit(target, "new")]))[0])
    deleted = event_of((await commit.commit([replace(deletion(target), text="left over")]))[0])
    assert (edited.text, edited.is_edited, edited.is_deleted) == ("new", True, False)
    assert (deleted.text, deleted.is_edited, deleted.is_deleted) == ("", True, True)
    assert await node.history(target.chat_id) == [
        replace(target, text="", is_edited=True, is_deleted=True),
        replace(edited, text="", is_deleted=True),
        deleted,
    ]


async def test_deletion_of_an_unedited_message_is_no_edit(node: Node, commit: SqliteCommit) -> None:
    ann = await node.person("ann")
    target = event_of((await commit.commit([message(await node.group(ann), ann)]))[0])
    deleted = event_of((await commit.commit([deletion(target)]))[0])
    assert (deleted.is_edited, deleted.is_deleted, deleted.created_at) == (False, True, target.created_at)


def test_digest_tells_kind_target_and_text_apart() -> None:
    ann = Person(1, "ann")
    events = [
        NewEvent(1, ann, "a", EventKind.MESSAGE, "x"),
        NewEvent(1, ann, "a", EventKind.MESSAGE, "y"),
        NewEvent(1, ann, "a", EventKind.EDIT, "x", 5),
        NewEvent(1, ann, "a", EventKind.EDIT, "x", 6),
        NewEvent(1, ann, "a", EventKind.MESSAGE, "\ud800"),
    ]
    digests = {digest_of(event) for event in events}
    assert len(digests) == len(events)
    assert {len(digest) for digest in digests} == {16}
