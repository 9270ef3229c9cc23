"""Claims of work: a row of work is one node's until it is done, or until the node has not renewed its claim in time.

Times are those of the nodes' clocks, which differ: two nodes may do the same work at once, and it must allow that.
"""

from collections.abc import Callable

from storage.database.database import Database


class WorkClaims:
    """The claims of one node on the rows of a table, in its columns `claimed_by` and `claimed_until` (Unix seconds).

    Every method raises StorageUnavailable if the database does not respond in time.
    """

    def __init__(
        self,
        database: Database,
        node_id: str,
        lease_s: int,
        now: Callable[[], float],
        *,
        table: str,
        key: str,
        is_due: str,
        order: str,
    ) -> None:
        """`is_due` is the condition of a row with work; `$3` in it is the present time. `key` is its integer key."""
        self._database = database
        self._node_id = node_id[:80]
        self._lease_s = lease_s
        self._now = now
        # the outer condition is checked again once another node's claim of the same row has committed
        self._claim = f"""
            UPDATE {table} SET claimed_by = $1, claimed_until = $2 WHERE {key} = (
                SELECT {key} FROM {table} WHERE {is_due} AND claimed_until < $3 ORDER BY {order} LIMIT 1)
            AND claimed_until < $3 RETURNING {key} AS key"""
        self._hold = f"""
            UPDATE {table} SET claimed_until = $3 WHERE {key} = $1 AND claimed_by = $2 RETURNING {key}"""

    async def claim(self) -> int | None:
        """Claim the first row that is due and unclaimed, and return its key; None if there is none."""
        now = int(self._now())
        rows = await self._database.write(self._claim, self._node_id, now + self._lease_s, now)
        return rows[0]["key"] if rows else None

    async def hold(self, key: int) -> bool:
        """Renew the claim; False if another node has taken it."""
        until = int(self._now()) + self._lease_s
        return bool(await self._database.write(self._hold, key, self._node_id, until))
