"""The data key of `auth.encryption`, wrapped."""

from collections.abc import Callable
from datetime import UTC, datetime

from storage.auth_models import StoredDataKey
from storage.auth_records import WrappedDataKey
from storage.database.database import Database
from storage.models import StoreIdentity


class DataKeys:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def exists(self) -> bool:
        """Whether there is a data key."""
        async with self._database.session():
            return await StoredDataKey.all().exists()

    async def settle(self, change: Callable[[WrappedDataKey | None], WrappedDataKey]) -> WrappedDataKey:
        """Replace the stored data key, or its absence, by what `change` makes of it; one process at a time.

        An exception of `change` changes nothing.
        """
        async with self._database.transaction():
            await StoreIdentity.select_for_update().get()  # one at a time; on SQLite the transaction ensures that
            row = await StoredDataKey.all().order_by("created_at", "id").first()
            stored = None if row is None else WrappedDataKey(row.id, row.wrapped)
            settled = change(stored)
            if stored is None:
                await StoredDataKey.create(id=settled.id, wrapped=settled.wrapped, created_at=datetime.now(UTC))
            elif settled != stored:
                await StoredDataKey.filter(id=stored.id).update(wrapped=settled.wrapped)
            return settled
