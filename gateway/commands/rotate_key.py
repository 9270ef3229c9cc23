"""`chat-gateway rotate-key`: a new signing key for tokens."""

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from gateway.commands.command import Commands, add_command
from gateway.commands.process import set_up_logging

if TYPE_CHECKING:
    from gateway.config.settings import Settings


def add(commands: Commands) -> None:
    """Add the command."""
    add_command(
        commands,
        "rotate-key",
        "add a new signing key for tokens; users stay logged in",
        _run,
        examples=["chat-gateway rotate-key   # prints the kid of the new key"],
    )


def _run(_: argparse.Namespace) -> int:
    from gateway.config import sources, validation

    settings = sources.load()
    validation.require_keys_secret(settings)
    set_up_logging(settings, "rotate-key")
    sys.stdout.write(f"{asyncio.run(_rotate(settings))}\n")
    return 0


async def _rotate(settings: "Settings") -> str:
    from gateway.audit import record_command
    from gateway.auth_mount import rotate_key
    from httpapi.audit.events import Event
    from storage.database.database import open_database

    async with open_database(settings.database_url) as database:
        kid = await rotate_key(settings, database)
        await record_command(settings, database, Event.KEY_ROTATED, kid=kid)
        return kid
