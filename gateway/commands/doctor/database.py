"""Checks of the database: its answer, commits, clock and schema, and what removed webhooks have left in it."""

import os
import time
from pathlib import Path
from typing import Final

from gateway.commands.doctor.finding import Finding, Findings, Severity, clock, ok, warning, wrong
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.outlet import wanted_of
from gateway.webhooks.outlet import removed_endpoints
from storage.database.database import Database, open_database
from storage.database.database_url import SqliteUrl, parse
from storage.database.migrate import schema_state
from storage.errors import PermissionDenied, StorageUnavailable
from storage.outbox.queue import Outbox

SUBJECT: Final = "database"
_COMMITS: Final = "commits"
_MIGRATIONS: Final = "migrations"
_SERVER_SQL: Final = """
    SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS is_standby,
        current_setting('transaction_read_only') = 'on' AS is_read_only,
        extract(epoch FROM clock_timestamp())::float8 AS now,
        current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit,
        current_setting('full_page_writes') AS full_page_writes,
        current_setting('synchronous_standby_names') AS standbys
"""


async def check_database(settings: Settings) -> Findings:
    """The findings, in order; after an outage there are no further ones."""
    url = parse(settings.database_url)
    where = str(url)
    if isinstance(url, SqliteUrl) and (problem := _file_problem(Path(url.path))) is not None:
        yield problem
        return
    try:
        async with open_database(settings.database_url) as database:
            found = _postgres(database, where) if database.postgres is not None else _sqlite(database, where, settings)
            async for finding in found:
                yield finding
            migrations = await _migrations(database)
            yield migrations
            if migrations.severity is not Severity.WRONG:
                async for finding in _webhooks(database, settings):
                    yield finding
    except StorageUnavailable as error:
        advice = "Check DATABASE_URL or POSTGRES_*, that the server runs, and that its firewall lets this machine in."
        yield wrong(SUBJECT, f"{where} does not answer: {error}.", advice)
    except PermissionDenied as error:
        advice = "Grant its role what docs/deploy.md lists."
        yield wrong(SUBJECT, f"{where} rejects this user: {error}.", advice)


def _file_problem(file: Path) -> Finding | None:
    """What keeps the services from using the file.

    It is not opened for this: that would create it, and reading it needs fewer rights than the services do.
    """
    for path, mode in ((file.parent, os.W_OK | os.X_OK), (file, os.R_OK | os.W_OK)):
        if os.access(path, os.F_OK) and not os.access(path, mode):
            advice = "Run this as the user of the services; it needs the file, and its folder for SQLite's other files."
            return wrong(SUBJECT, f"This user may not write {path}.", advice)
    if os.access(file, os.F_OK):
        return None
    return wrong(SUBJECT, f"There is no file {file}.", "Run `chat-gateway migrate`, which creates it.")


async def _postgres(database: Database, where: str) -> Findings:
    await database.fetch("SELECT 1")  # connects, which the time below leaves out
    asked_at, started = time.time(), time.perf_counter()
    (server,) = await database.fetch(_SERVER_SQL)
    took_s = time.perf_counter() - started
    yield ok(SUBJECT, f"PostgreSQL {server['version']} at {where} answers in {took_s * 1000:.1f} ms.")
    if server["is_standby"] or server["is_read_only"]:
        advice = "Point DATABASE_URL to the primary, or list all hosts with ?target_session_attrs=read-write."
        yield wrong(SUBJECT, f"{where} accepts no writes: it is a standby, or read-only.", advice)
    off = [name for name in ("fsync", "synchronous_commit", "full_page_writes") if server[name] == "off"]
    if off:
        advice = (
            f"Set {' and '.join(f'{name} = on' for name in off)}: else a crash loses messages that were acknowledged."
        )
        yield wrong(_COMMITS, f"PostgreSQL runs with {' and '.join(f'{name} = off' for name in off)}.", advice)
    else:
        standbys = server["standbys"]
        failover = (
            f"and wait for the standby ({standbys})" if standbys else "on one server: a failover may lose the last ones"
        )
        yield ok(_COMMITS, f"Commits are synchronous, {failover}.")
    yield clock("clock", "PostgreSQL", server["now"] - (asked_at + took_s / 2))


async def _sqlite(database: Database, where: str, settings: Settings) -> Findings:
    (row,) = await database.fetch("SELECT sqlite_version() AS version")
    yield ok(SUBJECT, f"SQLite {row['version']} can use {where}.")
    yield ok(_COMMITS, "Commits are synchronous (synchronous = FULL).")
    if settings.is_production:
        advice = "Use PostgreSQL for more than one machine."
        yield warning(SUBJECT, "Only processes on this machine can share a SQLite file.", advice)


async def _webhooks(database: Database, settings: Settings) -> Findings:
    """What the outbox has of webhooks that are no longer set up; it stays there until somebody decides."""
    try:
        set_up = wanted_of(settings).types
    except SettingsError:  # which is a finding of its own
        return
    outbox = Outbox(database)
    try:
        removed = await removed_endpoints(outbox, set_up)
    except PermissionDenied:  # to the role of auth, which has no webhooks
        return
    for name in removed:
        backlog = await outbox.backlog(name)
        text = f"{name} is not set up, and holds {backlog.events} events and {backlog.dead} dead letters."
        yield warning("webhooks", text, f"Set it up again, or run `chat-gateway webhooks drop --webhook {name}`.")


async def _migrations(database: Database) -> Finding:
    state = await schema_state(database)
    if state is None:
        advice = "Run `chat-gateway doctor` as the user that migrates, too."
        return warning(_MIGRATIONS, "This user may not see which migrations were applied.", advice)
    if state.missing:
        text = f"{len(state.missing)} of {state.known} migrations are not applied, the first is {state.missing[0]}."
        return wrong(_MIGRATIONS, text, "Run `chat-gateway migrate` before the services of this version start.")
    if state.newer:
        text = f"The database has {len(state.newer)} migrations of a newer version, such as {state.newer[-1]}."
        return warning(_MIGRATIONS, text, "Finish the upgrade: run that version everywhere.")
    return ok(_MIGRATIONS, f"All {state.known} migrations are applied.")
