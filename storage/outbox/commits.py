"""Folds what commits have noted into the rows of chats, which are what is claimed and delivered.

A chat that was written to ten times since the last fold gets one row, or one change of its row.

Invariants: the notes of an endpoint are folded by one process at a time, those of a chat in the order of its seqs; a
fold takes every note that was committed before it, so that all of a chat's log up to then is in its row.
"""

from collections.abc import Sequence
from typing import Final

from tortoise.backends.base.client import BaseDBAsyncClient

from storage.database.database import Database, Row
from storage.outbox.notes import HEAD_COLUMNS, POSTGRES_NOW_MS, SQLITE_NOW_MS
from storage.outbox_records import Head

FOLDED: Final = 1_000
"""Notes that one statement takes at most."""

_TAKE: Final = """
    DELETE FROM outbox_commits WHERE id IN (
        SELECT id FROM outbox_commits WHERE endpoint = $1 ORDER BY id LIMIT {limit}) RETURNING id, seqs, created_at"""
# Materialized, as it would be joined otherwise, and not end with its limit. The lock makes others wait for this fold.
_TAKE_POSTGRES: Final = """
    WITH taken AS MATERIALIZED (
        SELECT id FROM outbox_commits WHERE endpoint = $1 ORDER BY id LIMIT {limit} FOR UPDATE)
    DELETE FROM outbox_commits WHERE id IN (SELECT id FROM taken) RETURNING id, seqs, created_at"""
_FOLD: Final = """
    INSERT INTO outbox ({columns})
    SELECT $1, r.stream, r.first, r.last, {false}, 1,
        CASE WHEN r.leased = 1 THEN {now} + {lease_ms} ELSE 0 END, 0, '', $2
    FROM {ranges} WHERE true ORDER BY r.stream
    ON CONFLICT (endpoint, stream) DO UPDATE SET version = outbox.version + 1, {renumbered}
        to_seq = {greatest}(outbox.to_seq, excluded.to_seq),
        from_seq = CASE WHEN outbox.from_seq > outbox.to_seq THEN excluded.from_seq
            ELSE {least}(outbox.from_seq, excluded.from_seq) END
    RETURNING id, stream, from_seq, to_seq, version, attempts, failing_since, created_at, due_at"""
# A node of release 0.1.0 beside this one writes to the rows of chats itself, so that one may begin behind a note. It
# gets a new id then: who has claimed it by the old one must not finish what it did not see.
_RENUMBERED: Final = """
        id = CASE WHEN excluded.from_seq < outbox.from_seq AND outbox.from_seq <= outbox.to_seq
            THEN excluded.id ELSE outbox.id END,"""


class NotedCommits:
    """The notes of commits, in the transactions of those who claim."""

    def __init__(self, database: Database, lease_s: float) -> None:
        self._is_postgres = database.postgres is not None
        words = {"columns": HEAD_COLUMNS, "lease_ms": round(lease_s * 1000)}
        if self._is_postgres:
            self._take = _TAKE_POSTGRES.format(limit=FOLDED)
            columns = ", ".join(f"${place}::bigint[]" for place in range(3, 7))
            ranges = f"unnest({columns}) AS r (stream, first, last, leased)"
            words |= {"false": "false", "now": POSTGRES_NOW_MS, "greatest": "greatest", "least": "least"}
            self._fold = _FOLD.format(ranges=ranges, renumbered=_RENUMBERED, **words)
        else:
            self._take = database.dialect(_TAKE.format(limit=FOLDED))
            columns = ", ".join(
                f"json_extract(value, '$[{place}]') AS {name}"
                for place, name in enumerate(("stream", "first", "last", "leased"))
            )
            ranges = f"(SELECT {columns} FROM json_each($3)) AS r"
            words |= {"false": "0", "now": SQLITE_NOW_MS, "greatest": "max", "least": "min"}
            self._fold = database.dialect(_FOLD.format(ranges=ranges, renumbered="", **words))

    async def fold(self, client: BaseDBAsyncClient, endpoint: str, claimed: Sequence[Head], limit: int) -> list[Head]:
        """Fold all notes of the endpoint, in the transaction of `client`, which has claimed these heads.

        Returns them with what they hold now, and new ones that are leased too, up to `limit` altogether.
        """
        heads = {head.id: head for head in claimed}
        is_whole = False
        while not is_whole:
            notes = await client.execute_query_dict(self._take, [endpoint])
            is_whole = len(notes) < FOLDED
            for row in await self._add(client, endpoint, notes, limit - len(heads)) if notes else []:
                is_new = row["version"] == 1 and row["due_at"] > 0
                if is_new or row["id"] in heads:
                    extra_to = 0 if is_new else heads[row["id"]].extra_to
                    del row["due_at"]
                    heads[row["id"]] = Head(**row, extra_to=extra_to)
        return list(heads.values())

    async def _add(self, client: BaseDBAsyncClient, endpoint: str, notes: Sequence[Row], leases: int) -> list[Row]:
        ranges: dict[int, tuple[int, int]] = {}
        for note in sorted(notes, key=lambda note: note["id"]):
            numbers = list(map(int, note["seqs"].split(",")))
            for chat_id, seq in zip(numbers[::2], numbers[1::2], strict=True):
                first, last = ranges.get(chat_id, (seq, seq))
                ranges[chat_id] = min(first, seq), max(last, seq)
        rows = [(chat, *range_, int(place < leases)) for place, (chat, range_) in enumerate(ranges.items())]
        since = min(note["created_at"] for note in notes)
        columns: list[object] = [list(column) for column in zip(*rows, strict=True)]
        if not self._is_postgres:
            columns = [f"[{','.join(map(str, map(list, rows)))}]"]
        return await client.execute_query_dict(self._fold, [endpoint, since, *columns])
