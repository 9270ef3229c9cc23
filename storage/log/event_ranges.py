"""Reads many ranges of the log at once, for those who deliver events out of the system."""

from collections.abc import Sequence

from storage.database.database import Database, Row
from storage.log.event_rows import SELECT_EVENT, event_of, moment_of
from storage.log.positions import PositionReader
from storage.log.references import targets_of
from storage.outbox_records import LoggedEvent
from storage.records import Positions

_SELECT = f"SELECT e.created_at AS stored_at, {SELECT_EVENT.strip().removeprefix('SELECT ')}"
_RANGE = "WHERE e.chat_id = {chat} AND e.seq >= {first} AND e.seq <= {last} ORDER BY e.seq LIMIT {limit}"


class EventRanges:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        one = _RANGE.format(chat="r.chat_id", first="r.first", last="r.last", limit="$4")
        self._all = f"""
            SELECT x.* FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS r (chat_id, first, last)
            CROSS JOIN LATERAL ({_SELECT} {one}) AS x ORDER BY x.chat_id, x.seq"""
        self._one = f"{_SELECT} {_RANGE.format(chat='$1', first='$2', last='$3', limit='$4')}"
        self._positions = PositionReader(database)

    async def read(self, ranges: Sequence[tuple[int, int, int]], limit: int) -> dict[int, list[LoggedEvent]]:
        """The first `limit` events of each (chat, first seq, last seq), in their present state, by chat."""
        found: dict[int, list[LoggedEvent]] = {}
        if self._database.postgres is None:
            for chat_id, first, last in ranges:
                rows = await self._database.fetch(self._one, chat_id, first, last, limit)
                found[chat_id] = [event for _, event in await self._events(rows)]
        elif ranges:
            chats, firsts, lasts = (list(column) for column in zip(*ranges, strict=True))
            for chat_id, event in await self._events(
                await self._database.fetch(self._all, chats, firsts, lasts, limit)
            ):
                found.setdefault(chat_id, []).append(event)
        return found

    async def _events(self, rows: Sequence[Row]) -> list[tuple[int, LoggedEvent]]:
        """The events, each behind the id of its chat."""
        targets = await targets_of(self._database, rows)
        return [(row["chat_id"], LoggedEvent(event_of(row, targets), moment_of(row["stored_at"]))) for row in rows]

    async def positions(self, chat_ids: Sequence[int]) -> Positions:
        """Where these chats stand, and the identity of this history."""
        return await self._positions.read(chat_ids)
