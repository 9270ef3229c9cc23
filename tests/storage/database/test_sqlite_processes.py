"""SQLite with several processes: they take turns, and a killed one does not block the others."""

import asyncio
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from storage.database import sqlite_writer
from storage.database.database import Database, open_database
from storage.database.file_lock import FileLock
from storage.database.sqlite_writer import SqliteWriter
from storage.errors import StorageUnavailable
from tests.storage.nodes import message, open_node
from tests.support.migrated import make_store

COUNT = 100


async def start_writer(url: str, chat: int, user_id: int, name: str, count: int = COUNT) -> Process:
    arguments = (url, str(chat), str(user_id), name, str(count))
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.storage.writer", *arguments, stdout=PIPE, cwd=Path(__file__).parents[3]
    )


async def test_processes_write_in_turns(sqlite_url: str) -> None:
    await make_store(sqlite_url)
    async with open_node(sqlite_url) as node:
        ann = await node.person("ann")
        chat = await node.group(ann)
        writers = [await start_writer(sqlite_url, chat, ann.id, name) for name in "abc"]
        printed = [await asyncio.wait_for(writer.communicate(), 60) for writer in writers]
        assert [writer.returncode for writer in writers] == [0, 0, 0]
        acked = sorted(int(line.split()[0]) for out, _ in printed for line in out.splitlines())
        assert acked == list(range(1, 3 * COUNT + 1))
        assert [event.seq for event in await node.history(chat)] == acked


async def test_killed_process_leaves_no_lock_and_no_gap(sqlite_url: str) -> None:
    await make_store(sqlite_url)
    async with open_node(sqlite_url) as node:
        ann = await node.person("ann")
        chat = await node.group(ann)
        doomed = await start_writer(sqlite_url, chat, ann.id, "doomed", 100_000)
        assert doomed.stdout is not None
        acked = [await doomed.stdout.readline() for _ in range(20)]
        doomed.kill()
        acked += (await doomed.stdout.read()).splitlines(keepends=True)
        await doomed.wait()
        await node.say(message(chat, ann, "still here"))
        history = await node.history(chat)
        assert [event.seq for event in history] == list(range(1, len(history) + 1))
        stored = {f"{event.seq} {event.text}\n".encode() for event in history}
        assert {line for line in acked if line.endswith(b"\n")} <= stored


async def test_lock_held_by_others_times_out(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    with lock.held(1):
        with pytest.raises(TimeoutError), lock.held(0.05):
            pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), lock.held_in_task():
                pass
    async with asyncio.timeout(1), lock.held_in_task():
        pass


async def _stays_open_while_locked(path: Path, close: Coroutine[Any, Any, None]) -> None:
    """Two last connections that close at once leave the -wal file: each must wait for its turn."""
    closing = asyncio.ensure_future(close)
    with FileLock(Path(f"{path}.lock")).held(1):
        _, pending = await asyncio.wait([closing], timeout=0.3)
        assert pending == {closing}
    await closing
    assert not Path(f"{path}-wal").exists()


async def test_database_close_waits_for_the_lock(sqlite_url: str, tmp_path: Path) -> None:
    await make_store(sqlite_url)
    stack = AsyncExitStack()
    database = await stack.enter_async_context(open_database(sqlite_url))
    await database.write("UPDATE store_identity SET restores = restores")
    assert (tmp_path / "x.db-wal").exists()
    await _stays_open_while_locked(tmp_path / "x.db", stack.aclose())


async def test_writer_close_waits_for_the_lock(tmp_path: Path) -> None:
    writer = SqliteWriter(str(tmp_path / "x.db"), "writer")
    await writer.write(lambda connection: connection.execute("CREATE TABLE t (a)"))
    assert (tmp_path / "x.db-wal").exists()
    await _stays_open_while_locked(tmp_path / "x.db", writer.close())


async def test_close_waits_for_bounded_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_writer, "CLOSE_TURN_S", 0.05)
    writer = SqliteWriter(str(tmp_path / "x.db"), "writer")
    await writer.write(lambda connection: connection.execute("CREATE TABLE t (a)"))
    with FileLock(tmp_path / "x.db.lock").held(1):
        async with asyncio.timeout(30):
            await writer.close()
    assert not (tmp_path / "x.db-wal").exists()


async def test_reads_do_not_wait_for_a_transaction(sqlite_url: str) -> None:
    await make_store(sqlite_url)

    async def restores(database: Database) -> object:
        return (await database.fetch("SELECT restores FROM store_identity"))[0]["restores"]

    async with open_database(sqlite_url) as database:
        waiting: list[asyncio.Task[Any]] = []
        async with database.transaction() as transaction:
            await transaction.execute_query("UPDATE store_identity SET restores = 7")
            for number in range(8, 28):
                writing = database.write("UPDATE store_identity SET restores = $1 RETURNING 1", number)
                waiting.append(asyncio.create_task(writing))
            assert [await restores(database) for _ in range(20)] == [0] * 20
            assert not any(task.done() for task in waiting)
        for number, task in enumerate(waiting, 8):
            await task
            assert await restores(database) >= number, "in the order of the calls"
        with pytest.raises(StorageUnavailable, match="readonly"):
            await database.fetch("UPDATE store_identity SET restores = 99 RETURNING 1")


async def test_database_uses_wal_mode_and_foreign_keys(sqlite_url: str) -> None:
    await make_store(sqlite_url)
    async with open_node(sqlite_url) as node:

        async def pragma(name: str) -> object:
            return (await node.database.fetch(f"PRAGMA {name}"))[0][name]

        assert await pragma("journal_mode") == "wal"
        assert await pragma("foreign_keys") == 1
        assert await pragma("synchronous") == 2


def test_failed_or_cancelled_open_leaves_no_thread(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(make_store(sqlite_url))
    failures: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    before = set(threading.enumerate())
    for turns in range(60):
        asyncio.run(cancelled_open(sqlite_url, turns % 12))
        with pytest.raises(StorageUnavailable):
            asyncio.run(open_and_close(f"sqlite://{tmp_path}/absent/x.db"))
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert failures == []


async def open_and_close(url: str) -> None:
    async with open_database(url):
        pass


async def cancelled_open(url: str, turns: int) -> None:
    """Cancelled after so many turns of the loop."""
    opening = asyncio.create_task(open_and_close(url))
    for _ in range(turns):
        await asyncio.sleep(0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
