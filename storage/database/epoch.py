"""The epoch: a short text that changes when seqs may have gone back (`docs/message-log.md`).

A promoted standby has another timeline, another cluster another system identifier, another database another store id.
After a backup was restored in place, all three are the same: the operator then calls `store_identity.count_restore`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

_STORE = "s.store_id || '-' || s.restores"
# pg_walfile_name starts with the present timeline in 8 hex digits; the control file has it only after a checkpoint
_TIMELINE = "left(pg_walfile_name(pg_current_wal_lsn()), 8)"
_SYSTEM = "(SELECT system_identifier FROM pg_control_system())"


async def epoch_expression(fetch: Callable[[str], Awaitable[Sequence[Mapping[str, Any]]]], *, is_postgres: bool) -> str:
    """SQL of the raw epoch, with `s` as the row of store_identity. It has the parts that the database user may read.

    Raises: StorageUnavailable.
    """
    if not is_postgres:
        await fetch("SELECT 1")
        return _STORE
    allowed = await fetch("SELECT has_function_privilege('pg_control_system()', 'EXECUTE') AS system")
    parts = [_STORE, _TIMELINE, _SYSTEM] if allowed[0]["system"] else [_STORE, _TIMELINE]
    return " || '-' || ".join(parts)


def epoch_of(raw: str) -> str:
    """The epoch as clients see it: opaque, short (every ack carries it), without a colon."""
    return blake2b(raw.encode(), digest_size=6).hexdigest()
