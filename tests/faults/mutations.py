"""Rules that can be broken, one at a time, to test the checker. The runner of a node patches them in."""

import asyncio
import uuid
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

from msgspec.structs import replace

import storage.log.commit_postgres as commit_postgres
from gateway.delivery.reorder_buffer import ReorderBuffer
from gateway.delivery.repair import Repair
from gateway.delivery.resume import Resume
from gateway.delivery.subscription import Subscription
from gateway.protocol.ids import Since
from storage.log.commit_postgres import CALL, PostgresCommit
from storage.records import ChatEvent, NewEvent

UNCOMMITTED_S = 1.0
"""So long that a client has its ack by then, on a busy machine too."""
SUFFIX = "~"
"""What follows it in a stored client_msg_id is not the client's, but NO_UNIQUE_KEY's."""


class Mutation(StrEnum):
    """Which rule is broken."""

    ACK_BEFORE_COMMIT = "ack_before_commit"
    NO_GAP_REPAIR = "no_gap_repair"
    NO_POSITION_CHECK = "no_position_check"
    NO_UNIQUE_KEY = "no_unique_key"
    NO_REPLAY = "no_replay"


def mutate(mutation: Mutation) -> None:
    """Break the rule in this process."""
    _BREAKERS[mutation]()


def _ack_before_commit() -> None:
    """Answer when the transaction has done its work, and commit it a little later."""

    async def call(
        commit: PostgresCommit, _: Sequence[NewEvent], columns: Sequence[commit_postgres._Column], patient: bool
    ) -> commit_postgres._BatchResult:
        manager = commit._client.acquire_connection()
        connection = await manager.__aenter__()
        transaction = connection.transaction()
        await transaction.start()
        try:
            rows = await connection.fetch(CALL, *columns, patient)
        except BaseException:
            await manager.__aexit__(None, None, None)
            raise

        async def commit_later() -> None:
            await asyncio.sleep(UNCOMMITTED_S)
            await transaction.commit()
            await manager.__aexit__(None, None, None)

        task = asyncio.create_task(commit_later())
        _late_commits.add(task)
        task.add_done_callback(_late_commits.discard)
        return commit_postgres._BatchResult(rows, {}, {})

    PostgresCommit._call = call  # type: ignore[method-assign, assignment]


_late_commits: set[asyncio.Task[None]] = set()


def _no_gap_repair() -> None:
    """Deliver what comes, and do not ask what is missing before it."""

    def add(timeline: ReorderBuffer, events: Iterable[ChatEvent]) -> list[ChatEvent]:
        due = []
        for event in events:
            if event.seq >= timeline.next_seq:
                timeline.next_seq = event.seq + 1
                due.append(event)
        return due

    ReorderBuffer.add = add  # type: ignore[method-assign, assignment]


def _no_position_check() -> None:
    """Never compare with the store what Redis has brought."""

    async def check(repair: Repair) -> None:
        pass

    Repair.check = check  # type: ignore[method-assign, assignment]


def _no_unique_key() -> None:
    """Store every retry as a new message."""
    arguments = commit_postgres._arguments

    def forgetful(events: Sequence[NewEvent]) -> list[commit_postgres._Column]:
        renamed = (f"{event.client_msg_id}{SUFFIX}{uuid.uuid4().hex}" for event in events)
        return arguments([replace(event, client_msg_id=name) for event, name in zip(events, renamed, strict=True)])

    commit_postgres._arguments = forgetful


def _no_replay() -> None:
    """Let who comes back go on with what comes now."""
    run = Resume.run

    async def forgetful(resume: Resume, subscription: Subscription, since: Since | None, epoch: str, node: str) -> None:
        is_first = since is not None and since.seq == 0
        await run(resume, subscription, since if is_first else None, epoch, node)

    Resume.run = forgetful  # type: ignore[method-assign, assignment]


_BREAKERS: dict[Mutation, Callable[[], None]] = {
    Mutation.ACK_BEFORE_COMMIT: _ack_before_commit,
    Mutation.NO_GAP_REPAIR: _no_gap_repair,
    Mutation.NO_POSITION_CHECK: _no_position_check,
    Mutation.NO_UNIQUE_KEY: _no_unique_key,
    Mutation.NO_REPLAY: _no_replay,
}
