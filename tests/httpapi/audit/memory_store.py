"""An audit store in memory, which a test can make unavailable."""

from collections.abc import Sequence

from storage.audit_entry import AuditEntry
from storage.errors import StorageUnavailable


class MemoryStore:
    """Implements `AuditStore`."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []
        self.batches: list[int] = []
        self.is_down = False
        self.purges = 0
        self.poison: str | None = None

    async def add(self, entries: Sequence[AuditEntry]) -> None:
        if self.is_down:
            raise StorageUnavailable("down")
        if any(entry.actor == self.poison for entry in entries):
            raise ValueError("never accepted")
        self.batches.append(len(entries))
        self.entries += entries

    async def purge(self) -> int:
        if self.is_down:
            raise StorageUnavailable("down")
        self.purges += 1
        return 0
