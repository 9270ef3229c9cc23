"""Which history this is: a short text that changes when seq may have gone back (`docs/message-log.md`).

A promoted standby has another timeline, another cluster another system identifier, another database another store id;
and after restoring a backup in place, where all three stay, the operator counts it by `count_restore`.
"""

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.database import Database

_STORE = "s.store_id || '-' || s.restores"
# pg_walfile_name starts with the present timeline in 8 hex digits; the control file has it only after a checkpoint
_TIMELINE = "left(pg_walfile_name(pg_current_wal_lsn()), 8)"
_SYSTEM = "(SELECT system_identifier FROM pg_control_system())"


async def epoch_expression(database: "Database") -> str:
    """SQL for the raw epoch, where `s` is the row of store_identity: all of it that this database's user may read.

    Raises: StorageUnavailable.
    """
    if database.postgres is None:
        await database.fetch("SELECT 1")
        return _STORE
    allowed = await database.fetch("SELECT has_function_privilege('pg_control_system()', 'EXECUTE') AS system")
    parts = [_STORE, _TIMELINE, _SYSTEM] if allowed[0]["system"] else [_STORE, _TIMELINE]
    return " || '-' || ".join(parts)


def epoch_of(raw: str) -> str:
    """The epoch as clients see it: opaque, short (every ack carries it), without a colon."""
    return blake2b(raw.encode(), digest_size=6).hexdigest()


async def count_restore(database: "Database") -> None:
    """Say that this store was restored from a backup: clients reload instead of trusting their positions.

    Raises: StorageUnavailable.
    """
    await database.write("UPDATE store_identity SET restores = restores + 1 RETURNING restores")
