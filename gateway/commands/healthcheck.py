"""`chat-gateway healthcheck`: whether the service on this machine is ready, for a container's HEALTHCHECK."""

import argparse

from gateway.commands.command import Commands, add_command
from gateway.errors import CommandError


def add(commands: Commands) -> None:
    """Add the command."""
    healthcheck = add_command(
        commands,
        "healthcheck",
        "check whether the service on this machine is ready",
        _run,
        examples=["chat-gateway healthcheck", "chat-gateway healthcheck auth"],
    )
    healthcheck.add_argument("part", nargs="?", choices=["gateway", "auth"], default="gateway", help="default: gateway")


def _run(options: argparse.Namespace) -> int:
    from gateway.config import sources
    from gateway.server.healthcheck import auth_answers, gateway_answers

    settings = sources.load()
    complaint = auth_answers(settings) if options.part == "auth" else gateway_answers(settings)
    if complaint is not None:
        raise CommandError(complaint)
    return 0
