"""Transcripts: stored before the echo, once, in order, and read by pages."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from storage.database.database import open_database
from storage.database.sqlite import write_lock
from storage.log import transcripts
from storage.log.transcripts import StoredTranscripts, open_transcripts
from storage.records import Direction, Line, NewLine, Person
from storage.repositories.auth.accounts import Accounts
from tests.support.migrated import make_store
from tests.support.servers import PostgresServer

IN, OUT = Direction.IN, Direction.OUT


class Writer:
    """A node's transcripts."""

    def __init__(self, transcripts: StoredTranscripts, accounts: Accounts) -> None:
        self.transcripts = transcripts
        self.accounts = accounts

    def keep(self, *lines: NewLine) -> "asyncio.Future[bool]":
        """The answer, which must come once."""
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.transcripts.submit(lines, answered.set_result)
        return answered

    async def history(self, user_id: int, limit: int = 200) -> list[Line]:
        """Everything, page by page."""
        lines: list[Line] = []
        after: int | None = 0
        while after is not None:
            page = await self.transcripts.page(user_id, after, limit)
            lines += page.lines
            after = page.next
        return lines


@asynccontextmanager
async def open_writer(url: str) -> AsyncIterator[Writer]:
    async with open_database(url) as database, open_transcripts(database) as transcripts:
        yield Writer(transcripts, Accounts(database))


@pytest.fixture
async def writer(store_url: str) -> AsyncIterator[Writer]:
    async with open_writer(store_url) as writer:
        yield writer


@pytest.fixture
async def ann(writer: Writer) -> Person:
    return await writer.accounts.create("ann", "hash")


def line(
    who: Person, place: int, payload: bytes = b"hi", *, session: str = "a" * 32, direction: Direction = IN
) -> NewLine:
    return NewLine(who.id, session, place, direction, payload, is_text=True)


async def test_stored_lines_are_read_verbatim_in_order(writer: Writer, ann: Person) -> None:
    sent = [
        NewLine(ann.id, "s", 1, IN, "Привет \0 \U0001f600".encode(), is_text=True),
        NewLine(ann.id, "s", 2, OUT, bytes(range(256)), is_text=False),
        NewLine(ann.id, "s", 3, IN, b"", is_text=True),
    ]
    assert await writer.keep(*sent)
    lines = await writer.history(ann.id)
    assert [(x.session_id, x.direction, x.payload, x.is_text) for x in lines] == [
        (x.session_id, x.direction, x.payload, x.is_text) for x in sent
    ]
    assert [x.id for x in lines] == sorted({x.id for x in lines})
    assert all(x.created_at.utcoffset() is not None for x in lines)


async def test_retried_insert_stores_line_once(writer: Writer, ann: Person) -> None:
    assert await writer.keep(line(ann, 1), line(ann, 2))
    assert await writer.keep(line(ann, 1, b"again"), line(ann, 2), line(ann, 3, b"new"))
    assert [x.payload for x in await writer.history(ann.id)] == [b"hi", b"hi", b"new"]


async def test_user_reads_only_own_lines(writer: Writer, ann: Person) -> None:
    bob = await writer.accounts.create("bob", "hash")
    await writer.keep(line(ann, 1), line(bob, 1, session="b" * 32), line(ann, 2))
    assert len(await writer.history(ann.id)) == 2
    assert len(await writer.history(bob.id)) == 1
    assert await writer.history(bob.id + 1) == []


async def test_lines_during_a_commit_form_one_batch_in_order(store_url: str) -> None:
    batches: list[int] = []
    async with open_database(store_url) as database:
        ann = await Accounts(database).create("ann", "hash")
        async with open_transcripts(database, lambda size, _: batches.append(size)) as opened:
            writer = Writer(opened, Accounts(database))
            order: list[int] = []

            def keep(n: int) -> "asyncio.Future[bool]":
                answer = writer.keep(line(ann, n, str(n).encode()))
                answer.add_done_callback(lambda _: order.append(n))
                return answer

            assert all(await asyncio.gather(*(keep(n) for n in range(1, 501))))
            assert order == list(range(1, 501))
            assert [x.payload for x in await writer.history(ann.id)] == [str(n).encode() for n in range(1, 501)]
    assert len(batches) <= 3, batches


async def test_pages_continue_without_gap_or_repetition(writer: Writer, ann: Person) -> None:
    await writer.keep(*(line(ann, n) for n in range(1, 8)))
    whole = await writer.history(ann.id)
    for limit in (1, 2, 3, 7, 8):
        assert await writer.history(ann.id, limit) == whole
    page = await writer.transcripts.page(ann.id, 0, 7)
    assert page.next is None, "an exact fit is the end"
    assert (await writer.transcripts.page(ann.id, 2**80, 7)).lines == ()


async def test_page_of_long_lines_is_bounded_in_bytes(writer: Writer, ann: Person) -> None:
    payload = b"x" * 65_536
    await writer.keep(*(line(ann, n, payload) for n in range(1, 41)))
    page = await writer.transcripts.page(ann.id, 0, 200)
    assert len(page.lines) == transcripts.PAGE_BYTES // len(payload)
    assert page.next == page.lines[-1].id
    assert len(await writer.history(ann.id)) == 40


async def test_line_waits_for_uncommitted_earlier_line_of_same_user(postgres_store_url: str) -> None:
    other = await asyncpg.connect(postgres_store_url)
    try:
        async with open_writer(postgres_store_url) as writer:
            ann, bob = [await writer.accounts.create(login, "hash") for login in ("ann", "bob")]
            async with other.transaction():  # it has drawn its id, and cannot be seen yet
                await other.execute(transcripts._INSERT_POSTGRES, [ann.id], ["o"], [1], ["in"], [b"first"], [True], 1)
                assert await writer.keep(line(bob, 1, session="b"))
                kept = writer.keep(line(ann, 1, b"second"))
                done, _ = await asyncio.wait([kept], timeout=0.3)
                assert not done, "a reader would go on after it, and never see the first"
            assert await asyncio.wait_for(kept, 10)
            assert [x.payload for x in await writer.history(ann.id)] == [b"first", b"second"]
    finally:
        await other.close()


async def test_submitted_lines_are_stored_on_close(store_url: str) -> None:
    async with open_writer(store_url) as writer:
        ann = await writer.accounts.create("ann", "hash")
        answers = [writer.keep(line(ann, n)) for n in range(1, 101)]
    assert all(answer.result() for answer in answers)
    async with open_writer(store_url) as writer:
        assert len(await writer.history(ann.id)) == 100


async def test_full_queue_rejects_and_half_full_one_is_busy(
    writer: Writer, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcripts, "QUEUE_BYTES", 4 * (100 + transcripts.LINE_BYTES))
    answers = []
    for n in range(1, 6):
        assert writer.transcripts.is_busy == (n > 3)
        answers.append(writer.keep(line(ann, n, b"x" * 100)))
    assert answers[4].done() and not answers[4].result()
    assert await asyncio.gather(*answers[:4]) == [True] * 4
    assert not writer.transcripts.is_busy
    assert await writer.keep(line(ann, 6))


async def test_dead_database_rejects_and_short_outage_is_retried(
    postgres_store_url: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_writer(postgres_store_url) as writer:
        ann = await writer.accounts.create("ann", "hash")
        assert await writer.keep(line(ann, 1))
        postgres_server.kill()
        try:
            kept = writer.keep(line(ann, 2))
            while not writer.transcripts._under_way:
                await asyncio.sleep(0)
        finally:
            postgres_server.start()
        assert await asyncio.wait_for(kept, 20), "the batch is tried again"
        monkeypatch.setattr(transcripts, "TRY_S", 0.5)
        postgres_server.kill()
        try:
            answers = [writer.keep(line(ann, n)) for n in range(3, 103)]
            assert await asyncio.wait_for(asyncio.gather(*answers), 10) == [False] * 100
        finally:
            postgres_server.start()
        async with asyncio.timeout(20):
            while not await writer.keep(line(ann, 103)):
                await asyncio.sleep(0.05)
        assert [x.payload for x in await writer.history(ann.id)] == [b"hi"] * 3


async def test_locked_sqlite_file_only_delays(sqlite_url: str, tmp_path: Path) -> None:
    await make_store(sqlite_url)
    async with open_writer(sqlite_url) as writer:
        ann = await writer.accounts.create("ann", "hash")
        async with write_lock(str(tmp_path / "x.db")).held_in_task():
            kept = writer.keep(line(ann, 1))
            done, _ = await asyncio.wait([kept], timeout=0.3)
            assert not done
        assert await asyncio.wait_for(kept, 10)
