"""The audit log's table on both databases: append-only, idempotent, read in pages, and purged after its retention."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from storage.audit_entry import AuditCursor, AuditEntry, AuditFilter
from storage.repositories.audit_records import AuditRecords
from tests.storage.nodes import Node

DAY_S = 24 * 3600
Add = Callable[..., Any]


def entry(number: int, **changes: Any) -> AuditEntry:
    made = AuditEntry(f"u{number}", int(time.time() * 1000) + number, "login", "ok", "user:7")
    return replace(made, **changes)


@pytest.fixture
def records(node: Node) -> AuditRecords:
    return AuditRecords(node.database, DAY_S)


async def all_of(records: AuditRecords, **wanted: Any) -> list[AuditEntry]:
    return (await records.page(AuditFilter(**wanted), None, 200)).entries


async def test_entry_is_read_as_it_was_written(records: AuditRecords) -> None:
    whole = AuditEntry(
        uid="0123456789abcdef",
        created_at=1_700_000_000_123,
        event="member_added",
        result="denied",
        actor="service:bank",
        operation="POST /api/v1/chats/{chat_id}/members",
        on_behalf_of="user:8",
        address="2001:db8::1",
        request_id="r-1",
        user_id=2**63 - 1,
        chat_id=9,
        facts={"role": "мастер", "status": 403},
        count=3,
        node="node-1",
    )
    await records.add([whole, entry(1)])
    await records.add([])
    assert (await all_of(records, event="member_added")) == [whole]


async def test_entry_written_twice_is_stored_once(records: AuditRecords) -> None:
    await records.add([entry(1), entry(2)])
    await records.add([entry(2), entry(3)])
    assert [one.uid for one in await all_of(records)] == ["u3", "u2", "u1"]


async def test_pages_have_every_entry_once_newest_first(records: AuditRecords) -> None:
    now = int(time.time() * 1000)
    await records.add([entry(number, created_at=now + number // 3) for number in range(10)])
    seen: list[str] = []
    cursor: AuditCursor | None = None
    while True:
        page = await records.page(AuditFilter(), cursor, 3)
        seen += [one.uid for one in page.entries]
        if (cursor := page.following) is None:
            break
        assert len(page.entries) == 3
    assert seen == [f"u{number}" for number in reversed(range(10))]


async def test_filters_select_together(records: AuditRecords) -> None:
    now = int(time.time() * 1000)
    await records.add(
        [
            entry(1, created_at=now, user_id=1),
            entry(2, created_at=now + 1, user_id=1, chat_id=5),
            entry(3, created_at=now + 2, event="logout", actor="user:8"),
        ]
    )

    async def uids(**wanted: Any) -> list[str]:
        return [one.uid for one in await all_of(records, **wanted)]

    assert await uids(event="login") == ["u2", "u1"]
    assert await uids(actor="user:8") == ["u3"]
    assert await uids(user_id=1, chat_id=5) == ["u2"]
    assert await uids(since=now + 1) == ["u3", "u2"]
    assert await uids(since=now + 1, until=now + 2) == ["u2"]
    everything = {"event": "login", "actor": "user:7", "user_id": 1, "chat_id": 5, "since": now, "until": now + 9}
    page = await records.page(AuditFilter(**everything), AuditCursor(now + 5, 1), 200)  # type: ignore[arg-type]
    assert [one.uid for one in page.entries] == ["u2"]


CHANGES = [
    "UPDATE audit_records SET actor = 'nobody'",
    "DELETE FROM audit_records",
    "INSERT OR REPLACE INTO audit_records (id, uid, created_at, expires_at, event, result, actor)"
    " SELECT id, 'other', 1, 1, 'x', 'ok', 'nobody' FROM audit_records",
    "INSERT OR REPLACE INTO audit_records (uid, created_at, expires_at, event, result, actor)"
    " SELECT uid, 1, 1, 'x', 'ok', 'nobody' FROM audit_records",
    "TRUNCATE audit_records",
]


@pytest.mark.parametrize("change", CHANGES)
async def test_stored_entry_cannot_be_changed(node: Node, records: AuditRecords, change: str) -> None:
    if ("OR REPLACE" if node.database.postgres is not None else "TRUNCATE") in change:
        pytest.skip("not a statement of this database")
    await records.add([entry(1), entry(2)])
    before = await node.database.fetch("SELECT * FROM audit_records ORDER BY id")
    if "OR REPLACE" in change:
        await node.database.write(change)  # ignored
    else:
        with pytest.raises(Exception, match="append-only"):
            await node.database.write(change)
    assert await node.database.fetch("SELECT * FROM audit_records ORDER BY id") == before


async def test_expired_entries_are_purged_in_bounded_batches(
    records: AuditRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.repositories.audit_records.PURGED", 3)
    old = int((time.time() - DAY_S - 5) * 1000)
    await records.add([entry(number, created_at=old) for number in range(5)] + [entry(9)])
    assert [await records.purge() for _ in range(3)] == [3, 2, 0]
    assert [one.uid for one in await all_of(records)] == ["u9"]


async def test_page_uses_an_index(node: Node, records: AuditRecords) -> None:
    if node.database.postgres is not None:
        pytest.skip("PostgreSQL reads a small table whole")
    for condition in ("", "WHERE actor = 'a'", "WHERE event = 'a'", "WHERE user_id = 1", "WHERE chat_id = 1"):
        plan = await node.database.fetch(
            f"EXPLAIN QUERY PLAN SELECT * FROM audit_records {condition} ORDER BY created_at DESC, id DESC LIMIT 9"
        )
        text = " ".join(row["detail"] for row in plan)
        assert "USING INDEX" in text and "TEMP B-TREE" not in text, text
