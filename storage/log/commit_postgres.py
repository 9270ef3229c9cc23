"""Commit batches by one call of `chat_log_commit` (`chat_log_commit.sql`) in autocommit, and install it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

from storage.database.database import COMMITTERS
from storage.database.driver_errors import is_outage, translated
from storage.database.postgres import PostgresClient
from storage.log.commit import digest_of
from storage.log.event_rows import SELECT_EVENT, event_of, mentions_of
from storage.log.references import SELECT_REPLIED_TO, RepliedToById, replied_to
from storage.reaction_records import NO_COUNTS, Unchanged
from storage.records import ChatEvent, Committed, EventKind, NewEvent, Outcome, Person, Refusal, SlowMode

SQL: Final = Path(__file__).with_name("chat_log_commit.sql")
REACT_SQL: Final = Path(__file__).with_name("chat_log_react.sql")
# Ids and kinds go as text: of each number in an array asyncpg asks twice whether it is an array, a microsecond each.
CALL = (
    "SELECT * FROM chat_log_commit($1::text::bigint[], $2::text::bigint[], $3, $4::text::text[], $5::text::bigint[], "
    "$6, $7, datas => $8, reply_ids => $9::text::bigint[], mention_lists => $10, patient => $11)"
)
# Each pair is looked up: a join with the pairs would let the planner read the whole log first.
_REACTIONS = f"""
SELECT event.* FROM unnest($1::bigint[], $2::bigint[]) AS stored (chat_id, seq), LATERAL (
    {SELECT_EVENT} WHERE e.chat_id = stored.chat_id AND e.seq = stored.seq) AS event"""
_STORED: Final = ("created", "duplicate")
_REPLIED_TO = f"{SELECT_REPLIED_TO} = ANY ($1)"
_SLOW_MODE: Final = "slow_mode "
"""A verdict that begins so ends with the seconds to wait."""
CALL_S = 3.0  # one attempt; a batch takes milliseconds
COMMIT_S = 8.0  # all attempts
PAUSES_S = (0.05, 0.25)  # before the second and the third attempt

_MESSAGE_IDS: Final = 4
"""The place of the argument that has the messages to change."""
_Column = str | Sequence[object] | None
"""An argument of the function: an array, or one as text; NULL if none of the events has a value."""


class _BatchResult(NamedTuple):
    """What became of each event; the stored reactions, by place; and what messages of the batch reply to."""

    rows: Sequence[asyncpg.Record]
    reactions: Mapping[int, ChatEvent]
    targets: RepliedToById


class PostgresCommit:
    """Retries a batch whose outcome is unknown: the ids of its events prevent duplicates."""

    def __init__(self, client: PostgresClient) -> None:
        self._client = client

    @property
    def most_at_once(self) -> int:
        """How many batches can usefully be committed at the same time."""
        return COMMITTERS

    async def commit(self, events: Sequence[NewEvent]) -> list[Outcome]:
        """The outcome of each event, as in `Commit`. Only chats that stay locked by others are UNAVAILABLE."""
        try:
            async with asyncio.timeout(COMMIT_S):
                result = await self._call_repeatedly(events, _arguments(events))
        except Exception as error:
            if (storage_error := translated(error)) is not None:
                raise storage_error from error
            raise
        return [_outcome(event, row, result) for event, row in zip(events, result.rows, strict=True)]

    async def close(self) -> None:
        """Nothing to release: the pool belongs to the database."""

    async def _call_repeatedly(self, events: Sequence[NewEvent], columns: Sequence[_Column]) -> _BatchResult:
        patient = True
        for pause_s in PAUSES_S:
            try:
                return await self._call(events, columns, patient)
            except asyncpg.LockNotAvailableError:
                patient = False
            except Exception as error:
                if not is_outage(error):
                    raise
                await asyncio.sleep(pause_s)
        return await self._call(events, columns, patient)

    async def _call(self, events: Sequence[NewEvent], columns: Sequence[_Column], patient: bool) -> _BatchResult:
        """What is read after the commit: if that fails, the outcome is unknown, and the batch is committed again."""
        async with self._client.acquire_connection() as connection:
            rows = await connection.fetch(CALL, *columns, patient, timeout=CALL_S)
            replies = [row["message_id"] for row in rows if row["reply_to"] is not None]
            found = await connection.fetch(_REPLIED_TO, replies, timeout=CALL_S) if replies else []
            targets = replied_to(found)
            has_changes = columns[_MESSAGE_IDS] is not None  # of messages: edits, deletions, reactions
            reactions = await _reactions(connection, events, rows, targets) if has_changes else {}
            return _BatchResult(rows, reactions, targets)


def _arguments(events: Sequence[NewEvent]) -> list[_Column]:
    """The arguments of the function, but for `patient`."""
    message_ids = [event.message_id for event in events]
    datas = [event.data for event in events]
    replies = [event.reply_to for event in events]
    mentions = [str(set(event.mentions)) if event.mentions else None for event in events]
    return [
        _array([str(event.chat_id) for event in events]),
        _array([str(event.sender.id) for event in events]),
        [event.client_msg_id for event in events],
        _array([event.kind for event in events]),
        _optional_ids(message_ids),
        [digest_of(event) for event in events],
        [event.text for event in events],
        datas if any(datas) else None,
        _optional_ids(replies),
        mentions if any(mentions) else None,
    ]


def _array(words: Iterable[str]) -> str:
    """A PostgreSQL array of numbers or of words of letters, which need no quotes, as text."""
    return f"{{{','.join(words)}}}"


def _optional_ids(ids: Sequence[int | None]) -> str | None:
    return _array("NULL" if id_ is None else str(id_) for id_ in ids) if any(ids) else None


def _outcome(event: NewEvent, row: asyncpg.Record, result: _BatchResult) -> Outcome:
    # All at once: each look-up by name costs a third of this.
    place, verdict, seq, kind, message_id, text, created_at, is_edited, is_deleted, data, *rest = row
    reply_to, mentions, author_id, *names, reactions = rest
    if verdict == "unchanged":
        return Unchanged(message_id, reactions or NO_COUNTS)
    if verdict == "busy":
        return Refusal.UNAVAILABLE
    if verdict.startswith(_SLOW_MODE):
        return SlowMode(int(verdict.removeprefix(_SLOW_MODE)))
    if verdict not in _STORED:
        return Refusal(verdict)
    is_duplicate = verdict == "duplicate"
    if (reaction := result.reactions.get(place)) is not None:
        return Committed(reaction, is_duplicate)
    author = None if author_id is None else Person(author_id, *names)
    stored = ChatEvent(
        chat_id=event.chat_id,
        seq=seq,
        kind=event.kind if kind == event.kind else EventKind(kind),
        message_id=message_id,
        sender=author or event.sender,
        text="" if is_deleted else event.text if text is None else text,
        created_at=created_at,
        is_edited=is_edited,
        is_deleted=is_deleted,
        client_msg_id=event.client_msg_id,
        data=None if is_deleted else data if is_duplicate or event.data is None else event.data,
        by=event.sender if author else None,
        reactions=reactions,
        reply_to=None if reply_to is None else result.targets.get(message_id),
        mentions=() if is_deleted else mentions_of(mentions),
    )
    return Committed(stored, duplicate=is_duplicate)


async def _reactions(
    connection: asyncpg.Connection, events: Sequence[NewEvent], rows: Sequence[asyncpg.Record], targets: RepliedToById
) -> Mapping[int, ChatEvent]:
    """The stored reactions of a batch, by place: each with the state of its message, which another user wrote."""
    places = {
        (event.chat_id, row["seq"]): row["place"]
        for event, row in zip(events, rows, strict=True)
        if row["kind"] == EventKind.REACTION and row["verdict"] in _STORED
    }
    if not places:
        return {}
    found = await connection.fetch(_REACTIONS, *zip(*places, strict=True), timeout=CALL_S)
    return {places[row["chat_id"], row["seq"]]: event_of(dict(row), targets) for row in found}


async def create_function(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """Create or replace the functions; every migration that changes one calls this. On SQLite it does nothing."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script(REACT_SQL.read_text(encoding="utf-8"))
        await editor.client.execute_script(SQL.read_text(encoding="utf-8"))


async def keep_function(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """Undo `create_function`: leave the functions, which serve the tables of the migration before too."""
