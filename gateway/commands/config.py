"""`chat-gateway config`: whether the settings are valid, and which are in effect."""

import argparse
import sys
from typing import TYPE_CHECKING

from gateway.commands.command import Commands, add_command, add_group
from gateway.commands.process import misspelt
from gateway.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.config.settings import Settings


def add(commands: Commands) -> None:
    """Add the command."""
    config = add_command(
        commands,
        "config",
        "check the settings, or show those in effect",
        None,
        examples=["chat-gateway config check", "APP_ENV=development chat-gateway config show"],
    )
    actions = add_group(config)
    add_command(
        actions,
        "check",
        "check that the settings are valid",
        _check,
        details="Exit code 2 if a service would not start with them. Needs no server; `doctor` checks those too.",
        examples=["chat-gateway config check"],
    )
    add_command(
        actions,
        "show",
        "show every setting, its value without secrets, and where it comes from",
        _show,
        examples=["chat-gateway config show", "chat-gateway config show | grep -v 'default$'   # only what is set"],
    )


def _check(_: argparse.Namespace) -> int:
    from gateway.config import sources

    settings = sources.load()
    if problems := unmet_requirements(settings):
        raise SettingsError(problems)
    for remark in remarks(settings):
        sys.stderr.write(f"chat-gateway: {remark}\n")
    sys.stdout.write(f"The settings are valid (APP_ENV={settings.app_env}).\n")
    return 0


def unmet_requirements(settings: "Settings") -> list[str]:
    """What every service requires beyond valid values, a sentence for each problem."""
    from gateway.config.validation import require_own_url
    from gateway.config.webhooks import read_webhooks

    return [*_problems(require_own_url, settings), *_problems(read_webhooks, settings)]


def remarks(settings: "Settings") -> list[str]:
    """What only some services require, and what is probably misspelt."""
    from gateway.config.validation import require_keys_secret

    whose = "A gateway without --with-auth does not need it, every other service does."
    return [*(f"{text} {whose}" for text in _problems(require_keys_secret, settings)), *map(str, misspelt())]


def _problems(require: "Callable[[Settings], object]", settings: "Settings") -> "Sequence[str]":
    try:
        require(settings)
    except SettingsError as error:
        return error.problems
    return ()


def _show(_: argparse.Namespace) -> int:
    from gateway.config import sources, validation
    from gateway.config.effective import effective

    texts = sources.read_sources()
    settings = validation.parse({name: sourced.text for name, sourced in texts.items()})
    for one in effective(settings):
        source = texts[one.name].source if one.name in texts else "default"
        sys.stdout.write(f"{one.name:<34}{one.value:<40}  {source}\n")
    return 0
