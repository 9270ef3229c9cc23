"""`chat-gateway webhooks`: what waits for webhooks, and their dead letters."""

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from gateway.command_line import printable
from gateway.commands.command import Commands, add_command
from gateway.commands.process import set_up_logging

if TYPE_CHECKING:
    from gateway.config.settings import Settings


def add(commands: Commands) -> None:
    """Add the command."""
    webhooks = add_command(
        commands,
        "webhooks",
        "show what waits for webhooks; list or replay dead letters; drop what a removed webhook left",
        _run,
        examples=[
            "chat-gateway webhooks",
            "chat-gateway webhooks replay --webhook crm",
            "chat-gateway webhooks drop --webhook former   # it is no longer in WEBHOOKS",
        ],
    )
    actions = ["status", "dead-letters", "replay", "drop"]
    webhooks.add_argument("action", nargs="?", choices=actions, default="status", help="default: status")
    webhooks.add_argument("--webhook", metavar="NAME", help="this webhook only; drop needs one")


def _run(options: argparse.Namespace) -> int:
    from gateway.config import sources

    settings = sources.load()
    set_up_logging(settings, "webhooks")
    lines = asyncio.run(_lines(settings, options.action, options.webhook))
    for line in lines:
        sys.stdout.write(f"{printable(line)}\n")
    if not lines:  # on stderr, for a script that counts lines
        sys.stderr.write("No dead letters.\n" if options.action == "dead-letters" else "No webhooks are set up.\n")
    return 0


async def _lines(settings: "Settings", action: str, name: str | None) -> list[str]:
    from gateway.audit import record_command
    from gateway.outlet import wanted_of
    from gateway.webhooks import command
    from httpapi.audit.events import Event
    from storage.database.database import open_database
    from storage.outbox.queue import Outbox

    async with open_database(settings.database_url) as database:
        lines = await command.run(Outbox(database), action, name, list(wanted_of(settings).types))
        if action == "drop" and name is not None:
            await record_command(settings, database, Event.WEBHOOK_DROPPED, webhook=name)
        return lines
