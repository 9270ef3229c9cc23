"""`chat-gateway audit`: the audit log, newest first."""

import argparse
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from gateway.commands.command import Commands, add_command, prints
from gateway.errors import CommandError

if TYPE_CHECKING:
    from gateway.api.operator.audit import AuditObject

PAGE: Final = 200
_TARGET: Final = re.compile(r"(user|chat):([0-9]{1,19})")


def add(commands: Commands) -> None:
    """Add the command."""
    audit = add_command(
        commands,
        "audit",
        "show the audit log, newest first",
        prints(_show),
        details="docs/audit.md has the events. The database keeps records for AUDIT_RETENTION_DAYS.",
        examples=[
            "chat-gateway audit --event user_banned --since 2030-01-01",
            "chat-gateway audit --target user:17 --limit 1000 --json | jq -r .operation",
        ],
    )
    audit.add_argument("--event", metavar="EVENT", help="one of the events, such as login")
    audit.add_argument("--actor", metavar="ACTOR", help="who did it: user:42, service:bank, operator, anonymous")
    audit.add_argument("--target", metavar="TARGET", help="what was done to user:42 or chat:7")
    audit.add_argument("--since", metavar="TIME", help="from this time on, such as 2030-01-01T12:00:00Z")
    audit.add_argument("--until", metavar="TIME", help="before this time")
    audit.add_argument("--limit", type=_limit, default=50, metavar="N", help="the most records (default: 50)")
    audit.add_argument("--json", action="store_true", help="print each record as JSON, as GET /api/v1/audit does")


def _limit(raw: str) -> int:
    if not raw.isascii() or not raw.isdigit() or not 1 <= int(raw) <= 1_000_000:
        raise argparse.ArgumentTypeError("a number from 1 to 1000000 is needed")
    return int(raw)


async def _show(options: argparse.Namespace) -> AsyncIterator[str]:
    import orjson

    from gateway.api.operator.audit import audit_object
    from gateway.audit import audit_records
    from gateway.commands.operator.store import open_store, read_time
    from httpapi.audit.events import Event
    from storage.audit_entry import AuditCursor, AuditFilter

    if options.event is not None and options.event not in set(Event):
        raise CommandError(f"{options.event} is no event; there are {', '.join(Event)}.")
    target = None if options.target is None else _TARGET.fullmatch(options.target)
    if options.target is not None and target is None:
        raise CommandError("A target is like user:42 or chat:7.")
    wanted = AuditFilter(
        event=options.event,
        actor=options.actor,
        user_id=int(target[2]) if target is not None and target[1] == "user" else None,
        chat_id=int(target[2]) if target is not None and target[1] == "chat" else None,
        since=None if options.since is None else int(read_time(options.since) * 1000),
        until=None if options.until is None else int(read_time(options.until) * 1000),
    )
    async with open_store() as store:
        records, left = audit_records(store.settings, store.database), options.limit
        after: AuditCursor | None = None
        while left > 0:
            page = await records.page(wanted, after, min(left, PAGE))
            for entry in page.entries:
                shown = audit_object(entry)
                yield orjson.dumps(shown).decode() if options.json else _line(shown)
            left, after = left - len(page.entries), page.following
            if after is None:
                break
        await store.record(Event.AUDIT_READ)


def _line(record: "AuditObject") -> str:
    """The time, the event, who did it and to whom; then the facts."""
    targets = [f"{name}:{record[key]}" for name, key in (("user", "user_id"), ("chat", "chat_id")) if record[key]]  # type: ignore[literal-required]
    times = [f"×{record['count']}"] if record["count"] > 1 else []
    facts = [f"{name}={value}" for name, value in record["facts"].items() if value != ""]
    actor = record["actor"] + (record["on_behalf_of"] and f" for {record['on_behalf_of']}")
    return " ".join([record["time"], record["result"], record["event"], "by", actor, *times, *targets, *facts])
