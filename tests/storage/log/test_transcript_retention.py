"""The oldest lines of the transcripts are deleted, by age and by the size of all."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from storage.database.database import Database, open_database
from storage.errors import StorageUnavailable
from storage.log import transcript_retention
from storage.log.transcript_retention import TranscriptRetention
from storage.log.transcripts import LINE_BYTES, StoredTranscripts, open_transcripts
from storage.records import Direction, NewLine, Person
from storage.repositories.auth.accounts import Accounts

PAYLOAD = b"x" * 744
SIZE = len(PAYLOAD) + LINE_BYTES


@dataclass
class Store:
    """The transcripts of two nodes in one database."""

    database: Database
    nodes: list[StoredTranscripts]
    ann: Person
    deleted: list[int] = field(default_factory=list)
    measured: list[int] = field(default_factory=list)

    async def add(self, first: int, count: int, node: int = 0, session: str = "s") -> None:
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        lines = [
            NewLine(self.ann.id, session, place, Direction.IN, PAYLOAD, is_text=True)
            for place in range(first, first + count)
        ]
        self.nodes[node].submit(lines, stored.set_result)
        assert await stored

    def retention(self, *, max_bytes: int = 0, max_age_s: float = 0, later_s: float = 0) -> TranscriptRetention:
        return TranscriptRetention(
            self.database,
            max_bytes=max_bytes,
            max_age_s=max_age_s,
            on_measured=self.measured.append,
            on_deleted=self.deleted.append,
            now=lambda: time.time() + later_s,
        )

    async def places(self) -> list[int]:
        rows = await self.database.fetch("SELECT place FROM transcripts ORDER BY id")
        return [row["place"] for row in rows]


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[Store]:
    async with (
        open_database(url) as database,
        open_transcripts(database) as first,
        open_transcripts(database) as second,
    ):
        yield Store(database, [first, second], await Accounts(database).create("ann", "hash"))


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    async with open_store(store_url) as store:
        yield store


class Unavailable(TranscriptRetention):
    """Of a database that has been away for some purges."""

    def __init__(self, purges: int) -> None:
        self._left = purges
        self.is_done = asyncio.Event()

    async def purge(self) -> None:
        if self._left:
            self._left -= 1
            raise StorageUnavailable("away")
        self.is_done.set()


async def test_size_is_counted_once_whatever_is_retried(store: Store) -> None:
    retention = store.retention()
    assert await retention.size() == 0
    await store.add(1, 10)
    await store.add(1, 10)
    await store.add(1, 10, node=1, session="t")
    assert await retention.size() == 20 * SIZE


async def test_oldest_lines_beyond_the_size_are_deleted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript_retention, "BATCH", 10)
    monkeypatch.setattr(transcript_retention, "_OLDEST", transcript_retention._OLDEST.replace("1000", "10"))
    await store.add(1, 30)
    retention = store.retention(max_bytes=5 * SIZE + 1)
    await retention.purge()
    assert await store.places() == [26, 27, 28, 29, 30]
    assert store.deleted == [10, 10, 5]
    assert store.measured == [30 * SIZE, 20 * SIZE, 10 * SIZE]
    assert await retention.size() == 5 * SIZE
    await retention.purge()
    assert len(await store.places()) == 5


async def test_lines_beyond_the_age_are_deleted(store: Store) -> None:
    await store.add(1, 3)
    await store.retention(max_age_s=3600, later_s=3500).purge()
    assert await store.places() == [1, 2, 3]
    await store.retention(max_age_s=3600, later_s=3700).purge()
    assert await store.places() == []
    assert await store.retention().size() == 0
    await store.retention(max_age_s=3600, later_s=3700).purge()
    assert store.deleted == [3]


async def test_lines_are_deleted_again_and_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(transcript_retention, "INTERVAL_S", 0.01)
    retention = Unavailable(2)
    task = asyncio.create_task(retention.run())
    async with asyncio.timeout(10):
        await retention.is_done.wait()
    task.cancel()
    assert caplog.messages == ["old transcripts were not deleted: away"] * 2


async def test_nothing_is_deleted_without_limits(store: Store) -> None:
    await store.add(1, 3)
    await store.retention(later_s=1e9).purge()
    assert (await store.places(), store.deleted) == ([1, 2, 3], [])
