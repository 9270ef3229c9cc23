"""The command `chat-gateway`. Exit codes: 0 success, 1 failure, 2 invalid settings or usage.

Each command imports what it needs when it runs: the supervisor of `up` does not load the gateway.
"""

import sys
from collections.abc import Sequence
from typing import Final

from gateway.command_line import CommandLine, printable
from gateway.commands import auth, completion, config, gateway, healthcheck, migrate, rotate_key, token, up, webhooks
from gateway.commands.chat import chat
from gateway.commands.command import HelpWithExamples, Subcommand
from gateway.commands.doctor import doctor
from gateway.commands.operator import audit, chats, users
from gateway.commands.process import misspelt
from gateway.errors import CommandError, SettingsError
from httpapi.docs_pages import NAME, program_version
from storage.errors import PermissionDenied, StorageUnavailable

COMMANDS: Final = (
    up,
    gateway,
    auth,
    migrate,
    rotate_key,
    webhooks,
    healthcheck,
    doctor,
    config,
    chat,
    token,
    users,
    chats,
    audit,
)
"""In the order of the help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    parser = command_line()
    options = parser.parse_args(arguments)
    command: Subcommand = options.command
    try:
        return command(options)
    except SettingsError as error:
        return _print_errors(2, *error.problems, *map(str, misspelt()))
    except CommandError as error:
        return _print_errors(1, str(error))
    except StorageUnavailable as error:
        return _print_errors(1, f"The database of DATABASE_URL does not answer: {error}")
    except PermissionDenied as error:
        advice = "Run it as the user that migrates (docs/deploy.md)."
        return _print_errors(1, f"The user of DATABASE_URL has too few rights for this: {error}. {advice}")
    except KeyboardInterrupt:
        return 130  # the shells' exit code for SIGINT


def command_line() -> CommandLine:
    """The parser of all commands; `command` of what it parses runs the one that was given."""
    parser = CommandLine(
        prog=NAME,
        description="A horizontally scaled chat gateway.",
        epilog="Settings come from flags, the environment, .env and src/.env, in this order; the README lists them."
        f" `{NAME} COMMAND --help` shows examples.",
        formatter_class=HelpWithExamples,
    )
    parser.add_argument("--version", action="version", version=f"{NAME} {program_version()}")
    commands = parser.add_subparsers(metavar="COMMAND")
    for one in COMMANDS:
        one.add(commands)
    completion.add(commands, parser)
    names = ", ".join(commands.choices)
    parser.set_defaults(command=lambda _: parser.error(f"a COMMAND is needed: {names}"))
    return parser


def _print_errors(code: int, *sentences: str) -> int:
    for sentence in sentences:
        sys.stderr.write(f"chat-gateway: {printable(sentence)}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
