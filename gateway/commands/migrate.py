"""`chat-gateway migrate`: the database gets the current schema."""

import argparse
import asyncio
from typing import TYPE_CHECKING

from gateway.commands.command import Commands, add_command
from gateway.commands.process import set_up_logging

if TYPE_CHECKING:
    from gateway.config.settings import Settings


def add(commands: Commands) -> None:
    """Add the command."""
    migrate = add_command(
        commands,
        "migrate",
        "migrate the database to the current schema",
        _run,
        examples=["chat-gateway migrate", "chat-gateway migrate --restored   # after restoring a backup"],
    )
    migrate.add_argument(
        "--restored",
        action="store_true",
        help="record that the database was restored from a backup: clients then reload their chats",
    )


def _run(options: argparse.Namespace) -> int:
    from gateway.config import sources

    settings = sources.load()
    set_up_logging(settings, "migrate")
    asyncio.run(_migrate(settings, restored=options.restored))
    return 0


async def _migrate(settings: "Settings", *, restored: bool) -> None:
    from gateway.audit import record_command
    from httpapi.audit.events import Event
    from storage.database.database import open_database
    from storage.database.migrate import migrate
    from storage.database.store_identity import count_restore

    await migrate(settings.database_url)
    if restored:
        async with open_database(settings.database_url) as database:
            await count_restore(database)
            await record_command(settings, database, Event.STORE_RESTORED)
