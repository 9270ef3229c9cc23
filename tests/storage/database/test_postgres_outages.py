"""Commits and reads while PostgreSQL is dead, frozen, rejecting or locked."""

import asyncio
import contextvars
import gc
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import asyncpg
import pytest

from storage.database import database, postgres
from storage.database.database import COMMITTERS, READERS, open_database
from storage.errors import StorageUnavailable
from storage.log import commit_postgres
from storage.log.commit_postgres import COMMIT_S
from storage.records import Committed, Refusal
from tests.gateway.redis.proxy import open_proxy
from tests.storage.nodes import Node, message, open_node, outcomes
from tests.support.machine_speed import slowness
from tests.support.servers import PostgresServer

KILL_ALL = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'chat-gateway'
"""

MANY_CHATS = """
WITH made AS (
    INSERT INTO chats (kind, title, creator_id, last_seq, members_version, created_at)
    SELECT 'group', '', $1, 0, 1, now() FROM generate_series(1, $2::int) RETURNING id
) INSERT INTO memberships (chat_id, user_id, role, read_seq, joined_at)
SELECT id, $1, 'member', 0, now() FROM made RETURNING chat_id
"""


@pytest.fixture
async def admin(postgres_store_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(postgres_store_url)
    yield connection
    await connection.close(timeout=5)


async def commits_again(node: Node, chat: int) -> None:
    """Wait until a message is stored."""
    ann = await until_available(node)
    async with asyncio.timeout(20):
        while not isinstance(await node.submit(message(chat, ann)), Committed):
            await asyncio.sleep(0.05)


async def until_available(node: Node):  # type: ignore[no-untyped-def]
    async with asyncio.timeout(20):
        while True:
            try:
                account = await node.accounts.by_login("ann")
            except StorageUnavailable:
                await asyncio.sleep(0.05)
            else:
                assert account is not None
                return account.person


async def whole_pool_works(node: Node) -> None:
    """Every connection there may be can be had at the same time, and answers."""
    pool = node.database.postgres
    assert pool is not None
    async with asyncio.timeout(5), AsyncExitStack() as stack:
        for _ in range(READERS + COMMITTERS):
            connection = await stack.enter_async_context(pool.acquire_connection())
            assert await connection.fetchval("SELECT 1") == 1


async def test_killed_backends_lose_and_duplicate_nothing(
    postgres_node: Node, admin: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    node = postgres_node
    ann = await node.person("ann")
    chats = [await node.group(ann) for _ in range(8)]
    killed = at_last_kill = 0
    futures = []
    for n in range(1_500):
        futures.append(node.submit(message(chats[n % 8], ann, str(n))))
        if n % 10 == 0:
            await asyncio.sleep(0.003)
        if n % 300 == 150:
            await outcomes(futures[:at_last_kill])  # a batch is tried twice: two kills are too many for it
            killed += await admin.fetchval(KILL_ALL)
            at_last_kill = len(futures)
    answers = await outcomes(futures)
    assert killed >= 5
    stored = [event for chat in chats for event in await node.history(chat)]
    acked = [answer.event for answer in answers if isinstance(answer, Committed)]
    assert {(e.chat_id, e.seq, e.text) for e in acked} <= {(e.chat_id, e.seq, e.text) for e in stored}
    assert len({event.text for event in stored}) == len(stored), "something is stored twice"
    for chat in chats:
        seqs = [event.seq for event in stored if event.chat_id == chat]
        assert seqs == list(range(1, len(seqs) + 1))
    assert len(acked) == 1_500, "a killed backend is no reason to refuse: the batch is tried again"


async def test_dead_server_is_unavailable_in_time_and_recovers(
    postgres_node: Node, postgres_server: PostgresServer
) -> None:
    node = postgres_node
    ann = await node.person("ann")
    chat = await node.group(ann)
    await node.say(message(chat, ann))
    postgres_server.kill()
    try:
        started = time.monotonic()
        answers = await outcomes([node.submit(message(chat, ann)) for _ in range(500)])
        assert answers == [Refusal.UNAVAILABLE] * 500
        with pytest.raises(StorageUnavailable):
            await node.log.positions([chat])
        with pytest.raises(StorageUnavailable):
            await node.accounts.create("bob", "hash")
        assert time.monotonic() - started < COMMIT_S * slowness()
    finally:
        postgres_server.start()
    await commits_again(node, chat)
    assert [event.seq for event in await node.history(chat)] == [1, 2]


async def test_frozen_server_is_unavailable_in_time_and_recovers(
    postgres_node: Node, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BOUND_S", 1.0)
    monkeypatch.setattr(postgres, "ACQUIRE_S", 0.5)
    monkeypatch.setattr(commit_postgres, "CALL_S", 0.5)
    monkeypatch.setattr(commit_postgres, "COMMIT_S", 1.5)
    node = postgres_node
    ann = await node.person("ann")
    chat = await node.group(ann)
    await whole_pool_works(node)
    postgres_server.pause()
    try:
        started = time.monotonic()
        frozen = [
            *(node.chats.admit(chat, ann.id) for _ in range(20)),
            *(node.accounts.create(f"p{n}", "hash") for n in range(5)),
        ]
        answer, *results = await asyncio.gather(
            node.submit(message(chat, ann, "frozen", "id")), *frozen, return_exceptions=True
        )
        assert answer is Refusal.UNAVAILABLE
        assert {type(result) for result in results} == {StorageUnavailable}
        assert time.monotonic() - started < 1.5 + 2 * 0.5 + slowness(), "a bound, and a little to give connections back"
    finally:
        postgres_server.resume()
    await commits_again(node, chat)
    await whole_pool_works(node)
    assert isinstance(await node.submit(message(chat, ann, "frozen", "id")), Committed)
    history = await node.history(chat)
    assert [event.seq for event in history] == list(range(1, len(history) + 1))
    assert [event.text for event in history].count("frozen") == 1


async def test_silent_server_logs_nothing_and_does_not_block_close(
    postgres_store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    port = urlsplit(postgres_store_url).port
    assert port is not None
    async with open_proxy(port) as proxy:
        url = postgres_store_url.replace(f":{port}/", f":{urlsplit(proxy.url).port}/")
        async with open_database(url) as silent:
            await asyncio.gather(*(silent.fetch("SELECT pg_sleep(0.2)") for _ in range(4)))
            proxy.freeze()
            uses = [asyncio.create_task(silent.fetch("SELECT 1")) for _ in range(4)]
            await asyncio.sleep(0.1)  # they are on their way
            for use in uses[:2]:
                use.cancel()
            await asyncio.wait(uses)
            assert [use.cancelled() for use in uses] == [True, True, False, False]
            assert [type(use.exception()) for use in uses[2:]] == [StorageUnavailable] * 2
            leaving = time.monotonic()
        assert time.monotonic() - leaving < postgres.CLOSE_S + slowness()
    del uses, use
    gc.collect()  # an unretrieved exception is logged when its task is collected
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_cancelled_calls_release_their_connections(postgres_node: Node) -> None:
    node = postgres_node
    for n in range(100):
        task = asyncio.create_task(node.accounts.create(f"p{n}", "hash"))
        read = asyncio.create_task(node.accounts.by_login("p0"))
        await asyncio.sleep(n * 0.00003)  # from before BEGIN to after COMMIT
        task.cancel()
        read.cancel()
        for result in await asyncio.gather(task, read, return_exceptions=True):
            assert isinstance(result, asyncio.CancelledError) or not isinstance(result, BaseException)
    await whole_pool_works(node)


async def test_locked_chat_does_not_affect_others(
    postgres_node: Node, admin: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    node = postgres_node
    ann = await node.person("ann")
    chats = [await node.group(ann) for _ in range(4)]
    async with admin.transaction():
        await admin.execute("SELECT 1 FROM chats WHERE id = $1 FOR UPDATE", chats[0])
        started = time.monotonic()
        stuck = node.submit(message(chats[0], ann))
        await asyncio.sleep(0)  # its commit begins
        for _ in range(3):  # others are committed meanwhile, one after the other
            await outcomes([node.submit(message(chat, ann)) for chat in chats[1:]])
        assert not stuck.done()
        assert await stuck is Refusal.UNAVAILABLE
        answers = await outcomes([node.submit(message(chat, ann)) for chat in chats])
        assert time.monotonic() - started < 3 * slowness()
        assert answers[0] is Refusal.UNAVAILABLE
        assert all(isinstance(answer, Committed) for answer in answers[1:])
    assert (await node.say(message(chats[0], ann))).seq == 1


async def test_rollback_after_numbering_leaves_no_gap(postgres_node: Node) -> None:
    node = postgres_node
    ann = await node.person("ann")
    chat = await node.group(ann)
    too_long = message(chat, ann, client_msg_id="x" * 65)  # the column refuses it, when its seq is given already
    answers = await outcomes([node.submit(event) for event in (message(chat, ann), too_long, message(chat, ann))])
    assert answers[1] is Refusal.NOT_STORABLE
    assert [event.seq for event in await node.history(chat)] == [1, 2]


async def test_commits_cause_no_sequential_scan(postgres_store_url: str, postgres_server: PostgresServer) -> None:
    name = postgres_store_url.rpartition("/")[2]
    scans = "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname IN ('chat_log', 'memberships')"
    scans_before = postgres_server.query(name, scans)
    async with open_node(postgres_store_url) as node:
        ann = await node.person("ann")
        chat = await node.group(ann)
        for _ in range(12):  # PostgreSQL settles on a plan after five calls, when the table is still small
            await outcomes([node.submit(message(chat, ann)) for _ in range(50)])
    used = "SELECT idx_scan > 0 FROM pg_stat_user_tables WHERE relname = 'chat_log'"
    async with asyncio.timeout(10):
        while postgres_server.query(name, used) != "t":
            await asyncio.sleep(0.1)
    assert postgres_server.query(name, scans) == scans_before


async def test_epoch_uses_cluster_identity_if_role_may_read_it(
    postgres_store_url: str, admin: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async with open_node(postgres_store_url) as node:
        assert "pg_control_system" in node.database.epoch_sql
        epoch = await node.log.epoch()
    await admin.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    await admin.execute("DROP ROLE IF EXISTS ordinary")
    await admin.execute("CREATE ROLE ordinary LOGIN")
    await admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO ordinary")
    try:
        async with open_node(postgres_store_url.replace("postgres@", "ordinary@")) as node:
            assert "pg_control_system" not in node.database.epoch_sql
            assert await node.log.epoch() != epoch
    finally:
        await admin.execute("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
        await admin.execute("DROP OWNED BY ordinary")
        await admin.execute("DROP ROLE ordinary")


async def test_database_works_from_task_with_other_context(node: Node) -> None:
    loop = asyncio.get_running_loop()
    ann = await loop.create_task(node.person("ann"), context=contextvars.Context())
    found = await loop.create_task(node.accounts.by_id(ann.id), context=contextvars.Context())
    assert found == ann


async def test_racing_nodes_neither_deadlock_nor_roll_back(
    postgres_store_url: str, postgres_server: PostgresServer, admin: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    name = postgres_store_url.rpartition("/")[2]
    waiting = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND wait_event_type = 'Lock'"
    failures = f"SELECT deadlocks, xact_rollback FROM pg_stat_database WHERE datname = '{name}'"
    done = "SELECT n_tup_ins >= 8000 FROM pg_stat_user_tables WHERE relname = 'chat_log'"
    before = postgres_server.query(name, failures)
    async with open_node(postgres_store_url) as one, open_node(postgres_store_url) as other:
        ann = await one.person("ann")
        rows = await one.database.write(MANY_CHATS, ann.id, 400)
        chats = [row["chat_id"] for row in rows]
        for _ in range(10):
            forth = [one.submit(message(chat, ann)) for chat in chats]
            back = [other.submit(message(chat, ann)) for chat in reversed(chats)]
            await outcomes(forth + back)
        shared = chats[::2]  # one batch of each node
        for _ in range(3):
            async with asyncio.timeout(10), admin.transaction():
                # both batches stop here, each with the locks that it has by then
                await admin.execute("SELECT 1 FROM chats WHERE id = $1 FOR UPDATE", shared[len(shared) // 2])
                forth = [one.submit(message(chat, ann)) for chat in shared]
                back = [other.submit(message(chat, ann)) for chat in reversed(shared)]
                while await admin.fetchval(waiting) < 2:
                    await asyncio.sleep(0.01)
            assert all(isinstance(answer, Committed) for answer in await outcomes(forth + back))
    async with asyncio.timeout(10):
        while postgres_server.query(name, done) != "t":  # backends report when they end
            await asyncio.sleep(0.1)
    assert postgres_server.query(name, failures) == before
