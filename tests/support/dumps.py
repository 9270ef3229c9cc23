"""What a thief of a database gets: all its bytes."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.servers import find_binary


def dump(database_url: str, folder: Path) -> bytes:
    """A backup like that of docs/operations.md: text of PostgreSQL, or the file of SQLite, free pages included."""
    if urlsplit(database_url).scheme == "sqlite":
        copy = folder / "stolen.db"
        copy.unlink(missing_ok=True)
        with (
            closing(sqlite3.connect(database_url.removeprefix("sqlite://"))) as source,
            closing(sqlite3.connect(copy)) as to,
        ):
            source.backup(to)
        return copy.read_bytes()
    command = [find_binary("pg_dump", "/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin"), "--inserts", database_url]
    return subprocess.run(command, check=True, capture_output=True).stdout
