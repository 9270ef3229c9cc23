"""The parser of the command line: an error shows the usage of the command that was called, and names what is wrong."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, Final, NoReturn

_MAX_COMPARED: Final = 64
"""Longer words are not compared: they are no misspellings, and a comparison takes quadratic time."""


class CommandLine(argparse.ArgumentParser):
    """An ArgumentParser whose commands reject unknown arguments; argparse leaves that to the outermost parser."""

    def parse_known_args(  # type: ignore[override]  # only the type of `namespace` is simpler
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """As argparse does, but every argument must be known."""
        parsed, unknown = super().parse_known_args(args, namespace)
        for word in unknown:
            if word.startswith("-"):
                name = word.partition("=")[0]
                self.error(f"unknown option {name}{_did_you_mean(name, self._visible_options())}")
        if unknown:
            self.error(f"unknown argument {unknown[0]}")
        return parsed, []

    def error(self, message: str) -> NoReturn:
        """Show the usage and the message, and exit with 2."""
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {message}\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Called by argparse for a value of an argument that has choices."""
        if action.choices is not None and value not in action.choices:
            choices = list(map(str, action.choices))
            self.error(f"unknown {action.metavar or action.dest} {value}{_did_you_mean(str(value), choices)}")

    def _visible_options(self) -> list[str]:
        return [
            option for action in self._actions if action.help != argparse.SUPPRESS for option in action.option_strings
        ]


def printable(line: str) -> str:
    """The line, safe to show: control characters, which others may have sent and a terminal executes, are replaced."""
    return line if line.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in line)


def _did_you_mean(word: str, names: Iterable[str]) -> str:
    nearest = get_close_matches(word, list(names), n=1) if len(word) <= _MAX_COMPARED else []
    return f"; did you mean {nearest[0]}?" if nearest else ""
