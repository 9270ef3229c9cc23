"""Claims of work: a row of work is one node's until it is done, or until the node has not renewed its claim in time.

Claims end by the clock of the database, which all nodes share. A node that stalls for longer than its claim does not
know that: two nodes may do the same work at once, and it must allow that.
"""

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
        *,
        table: str,
        key: str,
        is_due: str,
        order: str,
    ) -> None:
        """`is_due` is the condition of a row with work; the values of `claim` are `$2` and so on in it."""
        self._database = database
        self._node_id = node_id[:80]
        now = f"{database.now_ms_sql} / 1000"
        # the outer condition is checked again once another node's claim of the same row has committed
        self._claim = f"""
            UPDATE {table} SET claimed_by = $1, claimed_until = {now} + {lease_s} WHERE {key} = (
                SELECT {key} FROM {table} WHERE {is_due} AND claimed_until < {now} ORDER BY {order} LIMIT 1)
            AND claimed_until < {now} RETURNING {key} AS key"""
        self._hold = f"""
            UPDATE {table} SET claimed_until = {now} + {lease_s} WHERE {key} = $1 AND claimed_by = $2 RETURNING {key}"""

    async def claim(self, *values: object) -> int | None:
        """Claim the first row that is due and unclaimed, and return its key; None if there is none."""
        rows = await self._database.write(self._claim, self._node_id, *values)
        return rows[0]["key"] if rows else None

    async def hold(self, key: int) -> bool:
        """Renew the claim; False if another node has taken it."""
        return bool(await self._database.write(self._hold, key, self._node_id))
