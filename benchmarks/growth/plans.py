"""The plans of all statements that a PostgreSQL server runs in a database, those inside functions included.

They are what its own module `auto_explain` writes to the log: the real statements with their real values and plans.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
import orjson

_SETTINGS: Final = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_format": "json",
}
_PLAN: Final = re.compile(r"LOG:  duration: ([\d.]+) ms  plan:\n((?:\t.*\n)+)")
_CONSTANT: Final = re.compile(r"'[^']*'|(?<![\w$])\d+\b")


@dataclass(frozen=True, slots=True)
class StatementPlan:
    """One execution of a statement."""

    statement: str
    """Its text on one line, without constants."""
    buffers: int
    """Pages of tables and indexes that it read, in memory or not."""
    ms: float
    scanned: Mapping[str, int]
    """The rows that sequential scans read, by table."""


async def record_plans(database_url: str, settings: Mapping[str, str]) -> None:
    """Let the server write the plans of all future connections to this database to its log; for a superuser.

    `settings` are others of these connections.
    """
    name = database_url.rpartition("/")[2]
    connection = await asyncpg.connect(database_url)
    try:
        for setting, value in (_SETTINGS | dict(settings)).items():
            await connection.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")
    finally:
        await connection.close()


class PlanLog:
    """Reads the plans from the log of a server, as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = path.stat().st_size

    def new(self) -> list[StatementPlan]:
        """The plans that were written since the last call. A statement is logged before its response is sent."""
        with self._path.open("rb") as log:
            log.seek(self._position)
            text = log.read()
            self._position = log.tell()
        return [_plan(float(ms), orjson.loads(plan)) for ms, plan in _PLAN.findall(text.decode())]


def _plan(ms: float, document: Mapping[str, Any]) -> StatementPlan:
    top = document["Plan"]
    scanned: dict[str, int] = {}
    for node in _nodes(top):
        if node["Node Type"] == "Seq Scan":
            table = node["Relation Name"]
            rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            scanned[table] = scanned.get(table, 0) + int(rows * node["Actual Loops"])
    statement = _CONSTANT.sub("?", " ".join(document["Query Text"].split()))
    return StatementPlan(statement, top["Shared Hit Blocks"] + top["Shared Read Blocks"], ms, scanned)


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
