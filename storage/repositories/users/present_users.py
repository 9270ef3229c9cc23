"""Who is present on any node, as events tell it: stored, so that each user comes and goes in one order.

Invariants: a user is online while there is a row of the user, of any node. Rows of a user change under the lock of the
user's row in `users`, together with the events `user.online` (the first row) and `user.offline` (no row is left), so
these alternate. A lease that was not renewed for LEASE_S is never renewed again, and its rows are removed by `reap`.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import orjson
from tortoise.backends.base.client import BaseDBAsyncClient

from storage.database.database import Database
from storage.outbox.notes import OutboxNotes
from storage.outbox_records import NOTHING_WANTED, EventType, Wanted
from storage.repositories.users.last_seen import write_sql

LEASE_S: Final = 25.0
"""Longer than clients of a node that stops take to come back."""
REAPED: Final = 200
"""Users whom one transaction removes."""


class PresentUsers:
    """Implements `gateway.interfaces.client_registry.PresentUserStore`.

    Every method raises StorageUnavailable if the database does not respond in time.
    """

    def __init__(self, database: Database, wanted: Wanted = NOTHING_WANTED) -> None:
        self._database = database
        self._notes = OutboxNotes(database, wanted)
        is_postgres = database.postgres is not None
        now = database.now_ms_sql
        among = database.among
        alive = f"renewed_at > {now} - {round(LEASE_S * 1000)}"
        sql = database.dialect
        self._take = f"INSERT INTO presence_leases (renewed_at) VALUES ({now}) RETURNING id"
        self._renew = sql(f"UPDATE presence_leases SET renewed_at = {now} WHERE id = $1 AND {alive} RETURNING id")
        self._dead = f"SELECT id, renewed_at FROM presence_leases WHERE NOT {alive} ORDER BY id LIMIT 1"
        self._end = f"""
            DELETE FROM presence_leases WHERE id = $1 AND NOT {alive}
                AND NOT EXISTS (SELECT 1 FROM present_users p WHERE p.lease_id = $1) RETURNING id"""
        self._of_lease = f"SELECT user_id FROM present_users WHERE lease_id = $1 ORDER BY user_id LIMIT {REAPED}"
        lock = "FOR NO KEY UPDATE" if is_postgres else ""
        self._lock = sql(f"SELECT id FROM users WHERE id {among('$1')} ORDER BY id {lock}")
        self._present = sql(f"SELECT DISTINCT user_id FROM present_users WHERE user_id {among('$1')}")
        self._add = sql("INSERT INTO present_users (user_id, lease_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        self._remove = sql(f"""
            DELETE FROM present_users WHERE lease_id = $1 AND user_id {among("$2")} RETURNING user_id""")
        self._see = sql(write_sql(database))
        self._seen = sql(f"SELECT user_id, seen_at FROM last_seen WHERE user_id {among('$1')}")

    @property
    def is_wanted(self) -> bool:
        """Whether any endpoint gets events of presence; otherwise nothing is to be stored here."""
        return self._notes.wants(EventType.USER_ONLINE) or self._notes.wants(EventType.USER_OFFLINE)

    async def take_lease(self) -> int:
        """A new lease."""
        (row,) = await self._database.write(self._take)
        lease_id: int = row["id"]
        return lease_id

    async def renew(self, lease_id: int) -> bool:
        """Renew a lease; False if it has ended."""
        async with self._database.transaction() as client:
            return bool(await client.execute_query_dict(self._renew, [lease_id]))

    async def enter(self, lease_id: int, user_ids: Sequence[int]) -> bool:
        """These users are present under the lease; False, and nothing is stored, if it has ended."""
        async with self._database.transaction() as client:
            if not await client.execute_query_dict(self._renew, [lease_id]):
                return False
            known = await self._locked(client, user_ids)
            if known:
                online = await self._among(client, self._present, known)
                await client.execute_many(self._add, [[user_id, lease_id] for user_id in known])
                new = [user_id for user_id in known if user_id not in online]
                await self._notes.add_many(
                    client, EventType.USER_ONLINE, {-user_id: _json({"user_id": user_id}) for user_id in new}
                )
        return True

    async def leave(self, lease_id: int, seen: Mapping[int, int]) -> None:
        """These users, seen last at these times (Unix ms), are no longer present under the lease."""
        async with self._database.transaction() as client:
            await self._leave(client, lease_id, seen)

    async def reap(self) -> bool:
        """Remove REAPED users of a lease that has ended, or such a lease; whether there was one."""
        leases = await self._database.fetch(self._dead)
        if not leases:
            return False
        lease_id, renewed_at = leases[0]["id"], leases[0]["renewed_at"]
        rows = await self._database.fetch(self._of_lease, lease_id)
        if rows:
            await self.leave(lease_id, {row["user_id"]: renewed_at for row in rows})
        else:
            await self._database.write(self._end, lease_id)
        return True

    async def _leave(self, client: BaseDBAsyncClient, lease_id: int, seen: Mapping[int, int]) -> None:
        known = await self._locked(client, list(seen))
        await client.execute_query_dict(self._see, self._database.pairs(seen.items()))
        rows = await client.execute_query_dict(self._remove, [lease_id, self._database.ids(known)])
        removed = sorted(row["user_id"] for row in rows)
        online = await self._among(client, self._present, removed)
        gone = [user_id for user_id in removed if user_id not in online]
        if gone and self._notes.wants(EventType.USER_OFFLINE):
            rows = await client.execute_query_dict(self._seen, [self._database.ids(gone)])
            times = {row["user_id"]: row["seen_at"] for row in rows}
            await self._notes.add_many(
                client, EventType.USER_OFFLINE, {-user_id: _absence(user_id, times.get(user_id)) for user_id in gone}
            )

    async def _locked(self, client: BaseDBAsyncClient, user_ids: Sequence[int]) -> list[int]:
        """Those of the users who exist, locked in the order of their ids."""
        rows = await client.execute_query_dict(self._lock, [self._database.ids(user_ids)])
        return [row["id"] for row in rows]

    async def _among(self, client: BaseDBAsyncClient, sql: str, user_ids: Sequence[int]) -> set[int]:
        rows = await client.execute_query_dict(sql, [self._database.ids(user_ids)]) if user_ids else []
        return {row["user_id"] for row in rows}


def _absence(user_id: int, seen_ms: int | None) -> bytes:
    seen = None if seen_ms is None else datetime.fromtimestamp(seen_ms / 1000, UTC)
    return _json({"user_id": user_id, "last_seen_at": seen})


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)
