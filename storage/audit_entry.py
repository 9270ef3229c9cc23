"""An entry of the audit log, as it is written and read. This module imports nothing of ours, like `storage.records`."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what, from where, and with what result. No field holds a secret."""

    uid: str
    """Random; an entry that is written twice is stored once."""
    created_at: int
    """In Unix milliseconds."""
    event: str
    result: str
    actor: str
    """`user:<id>`, `service:<name of its key>`, `operator`, `anonymous`; `several` in a summary."""
    operation: str = ""
    """The method and the route, never the URL itself."""
    on_behalf_of: str = ""
    address: str = ""
    request_id: str = ""
    user_id: int | None = None
    """The user that it was done to."""
    chat_id: int | None = None
    facts: Mapping[str, str | int] = field(default_factory=dict)
    count: int = 1
    """More than 1 in a summary of entries that were not written one by one."""
    node: str = ""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries to read; None matches all. Times are in Unix milliseconds: from `since`, before `until`."""

    event: str | None = None
    actor: str | None = None
    user_id: int | None = None
    chat_id: int | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class AuditCursor:
    """The last entry of a page; the next page begins after it."""

    created_at: int
    entry_id: int


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, newest first, and where the next page begins; None if this is the last."""

    entries: list[AuditEntry]
    following: AuditCursor | None
