"""`chat-gateway up`: everything on this machine, for development."""

import argparse
import asyncio
import logging
import os
import secrets
import sys
from contextlib import nullcontext
from typing import Final

from gateway.commands.command import Commands, add_command, port
from gateway.commands.process import flags, set_up_logging, warn_of_misspellings

DEFAULTS: Final = {"APP_ENV": "development", "APP_HOST": "127.0.0.1", "DRAIN_DELAY_S": "0", "DRAIN_S": "2"}
MAX_REPLICAS: Final = 64
NAME: Final = "CHAT_GATEWAY_UP"
"""The environment variable in which a script that runs `up` gives its own name, for the usage."""


def add(commands: Commands) -> None:
    """Add the command."""
    up = add_command(
        commands,
        "up",
        "start everything on this machine, for development",
        _run,
        examples=[
            "chat-gateway up                         # two nodes, auth, Redis and SQLite",
            "chat-gateway up --replicas 4 --port 9000",
        ],
        prog=os.environ.get(NAME),
    )
    up.add_argument("--replicas", type=_count, default=2, metavar="N", help="gateway processes (default: 2)")
    up.add_argument("--port", metavar="P", help="the port that all replicas share (APP_PORT, default: 8000)")
    up.add_argument("--replica-ports", type=port, metavar="FIRST", help="the replicas' own ports: FIRST, FIRST+1 …")
    up.add_argument("--host", help="the address to listen on (APP_HOST, default: 127.0.0.1)")


def _count(raw: str) -> int:
    if not raw.isascii() or not raw.isdigit() or not 1 <= int(raw) <= MAX_REPLICAS:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MAX_REPLICAS} is needed")
    return int(raw)


def _run(options: argparse.Namespace) -> int:
    from gateway.config import sources, validation
    from gateway.config.webhooks import read_webhooks
    from gateway.server import interpreter
    from gateway.server.healthcheck import redis_trouble
    from gateway.up.data_dir import held
    from gateway.up.supervisor import Plan, Supervisor
    from gateway.up.welcome import welcome

    raw = sources.read(flags(APP_HOST=options.host, APP_PORT=options.port), defaults=DEFAULTS)
    console_key = secrets.token_urlsafe(24)
    raw["SERVICE_KEYS"] = ",".join(filter(None, [raw.get("SERVICE_KEYS"), f"console:{console_key}"]))
    settings = validation.parse(raw)
    validation.require_own_url(settings)
    validation.require_keys_secret(settings)
    read_webhooks(settings)
    set_up_logging(settings, "up")
    warn_of_misspellings()
    if slowness := interpreter.slowness():
        logging.getLogger("gateway.cli").warning("slow_python", extra={"fields": {"advice": slowness}})

    def greet(replica_ports: list[int]) -> None:
        sys.stdout.write(welcome(settings, replica_ports, redis_trouble(settings, replica_ports[0]), console_key))
        sys.stdout.flush()

    def greet_soon(replica_ports: list[int]) -> None:
        """Greet in a thread, because the greeting sends a blocking request to a replica."""
        asyncio.get_running_loop().run_in_executor(None, greet, replica_ports)

    plan = Plan(settings, raw, options.replicas, options.replica_ports)
    uses_data_dir = not raw.keys() & {"DATABASE_URL", "POSTGRES_HOST"}
    with held(settings.data_dir) if uses_data_dir else nullcontext():
        asyncio.run(Supervisor(plan, greet_soon).run())
    return 0
