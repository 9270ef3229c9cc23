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
        "show what waits for webhooks; list or replay dead letters",
        _run,
        examples=["chat-gateway webhooks", "chat-gateway webhooks replay --webhook crm"],
    )
    actions = ["status", "dead-letters", "replay"]
    webhooks.add_argument("action", nargs="?", choices=actions, default="status", help="default: status")
    webhooks.add_argument("--webhook", metavar="NAME", help="dead letters of this webhook only")


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
    from gateway.config.webhooks import read_webhooks
    from gateway.webhooks import command
    from storage.database.database import open_database
    from storage.outbox.queue import Outbox

    async with open_database(settings.database_url) as database:
        return await command.run(Outbox(database), action, name, [one.name for one in read_webhooks(settings)])
