"""The row that identifies a store, and counts its restores."""

from tortoise.exceptions import OperationalError

from storage.database.database import Database
from storage.errors import StorageUnavailable


async def store_id(database: Database) -> str:
    """The id of this store, made by its first migration; a copy of the database has the same id.

    Raises: StorageUnavailable, also before the first migration; PermissionDenied.
    """
    try:
        rows = await database.fetch("SELECT store_id FROM store_identity")
    except OperationalError:
        raise StorageUnavailable("it has no tables yet, which `chat-gateway migrate` makes") from None
    return str(rows[0]["store_id"])


async def count_restore(database: Database) -> None:
    """Record that this store was restored from a backup, so that clients reload instead of resuming.

    Raises: StorageUnavailable.
    """
    await database.write("UPDATE store_identity SET restores = restores + 1 RETURNING restores")
