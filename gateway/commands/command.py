"""How a command adds itself to the command line."""

import argparse
import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from gateway.command_line import CommandLine, printable

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[CommandLine]
else:
    Commands = Any

Subcommand = Callable[[argparse.Namespace], int]
"""Runs a command and returns its exit code.

Raises: CommandError, SettingsError, StorageUnavailable, PermissionDenied.
"""

_MAX_WIDTH: Final = 100


def add_command(
    commands: Commands,
    name: str,
    summary: str,
    run: Subcommand | None,
    *,
    examples: Sequence[str] = (),
    details: str = "",
    prog: str | None = None,
    aliases: Sequence[str] = (),
) -> CommandLine:
    """Add a command. `summary` is its line in the list of commands, `examples` are shown by its `--help`."""
    text = "\n".join(["examples:", *(f"  {line}" for line in examples)]) if examples else None
    description = f"{summary[0].upper()}{summary[1:]}.{details and ' ' + details}"
    parser = commands.add_parser(
        name,
        prog=prog,
        aliases=aliases,
        help=summary,
        description=description,
        epilog=text,
        formatter_class=HelpWithExamples,
    )
    parser.set_defaults(command=run)
    return parser


def add_group(parser: CommandLine, name: str = "ACTION") -> Commands:
    """The commands below a command, one of which must be given."""
    return parser.add_subparsers(metavar=name, dest=name.lower(), required=True)


def prints(work: Callable[[argparse.Namespace], AsyncIterator[str]]) -> Subcommand:
    """A command that prints each line that the work yields."""

    async def run(options: argparse.Namespace) -> None:
        async for line in work(options):
            sys.stdout.write(f"{printable(line)}\n")

    def command(options: argparse.Namespace) -> int:
        asyncio.run(run(options))
        return 0

    return command


class HelpWithExamples(argparse.HelpFormatter):
    """Wraps the description, and keeps the lines of the examples."""

    def __init__(self, prog: str) -> None:
        columns = shutil.get_terminal_size().columns
        super().__init__(prog, max_help_position=28, width=min(_MAX_WIDTH, max(40, columns - 2)))

    def add_argument(self, action: argparse.Action) -> None:
        """As argparse does, which forgets that the names of commands are indented."""
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):
            self._action_max_length += self._indent_increment

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples:"):
            return "".join(f"{indent}{line}\n" for line in text.splitlines())
        return super()._fill_text(text, width, indent)


def port(raw: str) -> int:
    """The value of an option that is a port."""
    if not raw.isascii() or not raw.isdigit() or not 1 <= int(raw) <= 65535:
        raise argparse.ArgumentTypeError("a port from 1 to 65535 is needed")
    return int(raw)
