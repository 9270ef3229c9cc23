"""The command: runs every check, prints what it finds, and fails if something is wrong."""

import argparse
import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Final

from gateway.commands.command import Commands, add_command
from gateway.commands.config import remarks, unmet_requirements
from gateway.commands.doctor.finding import Finding, Findings, Severity, ok, warning, wrong
from gateway.commands.process import misspelt
from gateway.errors import SettingsError

if TYPE_CHECKING:
    from gateway.config.settings import Settings

_SETTINGS: Final = "settings"


def add(commands: Commands) -> None:
    """Add the command."""
    doctor = add_command(
        commands,
        "doctor",
        "check settings, database, Redis, clocks, limits and proxies; say what to do",
        _run,
        details="Changes nothing. Exit code 1 if something is wrong.",
        examples=[
            "chat-gateway doctor",
            "chat-gateway doctor --url https://chat.example.com   # through your proxies, while a gateway runs",
        ],
    )
    doctor.add_argument("--url", metavar="URL", help="the public URL, to check that proxies pass WebSockets")


def _run(options: argparse.Namespace) -> int:
    logging.getLogger().addHandler(logging.NullHandler())  # the report says it; libraries would log their errors
    return asyncio.run(_report(options.url))


async def _report(url: str | None) -> int:
    is_wrong = False
    async for finding in _findings(url):
        sys.stdout.write(f"{finding}\n")
        sys.stdout.flush()  # the next check may take seconds
        is_wrong |= finding.severity is Severity.WRONG
    return 1 if is_wrong else 0


async def _findings(url: str | None) -> Findings:
    from gateway.config import sources

    try:
        settings = sources.load()
    except SettingsError as error:
        for problem in error.problems:
            yield wrong(_SETTINGS, problem, "Correct the setting; nothing else was checked.")
        settings = None
    if settings is None:
        for one in misspelt():
            yield warning(_SETTINGS, f"{one}")
    else:
        async for finding in _of_system(settings):
            yield finding
    if url is None:
        yield Finding(Severity.SKIPPED, "proxy", "Not checked.", "Give --url with the public URL of a running system.")
        return
    from gateway.commands.doctor.front import check_front

    async for finding in check_front(url):
        yield finding


async def _of_system(settings: "Settings") -> Findings:
    from gateway.commands.doctor.database import check_database
    from gateway.commands.doctor.machine import check_descriptors, check_origins
    from gateway.commands.doctor.queue import check_queue
    from gateway.commands.doctor.redis import check_redis

    for finding in _of_settings(settings):
        yield finding
    for check in (check_database, check_redis, check_queue):
        async for finding in check(settings):
            yield finding
    for finding in (*check_descriptors(settings), *check_origins(settings)):
        yield finding


def _of_settings(settings: "Settings") -> list[Finding]:
    problems = unmet_requirements(settings)
    findings = [wrong(_SETTINGS, problem, "") for problem in problems]
    if not problems:
        findings = [ok(_SETTINGS, f"The settings are valid (APP_ENV={settings.app_env}).")]
    return [*findings, *(warning(_SETTINGS, remark) for remark in remarks(settings))]
