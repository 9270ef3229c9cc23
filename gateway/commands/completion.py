"""`chat-gateway completion`: a script with which a shell completes commands and options, without running Python."""

import argparse
import sys
from functools import partial
from typing import Final

from gateway.command_line import CommandLine
from gateway.commands.command import Commands, add_command

SHELLS: Final = ("bash", "zsh", "fish")


def add(commands: Commands, program: CommandLine) -> None:
    """Add the command, which completes all commands of `program`."""
    completion = add_command(
        commands,
        "completion",
        "print a script that completes commands and options in a shell",
        partial(_run, program),
        examples=[
            "chat-gateway completion bash > ~/.local/share/bash-completion/completions/chat-gateway",
            "chat-gateway completion zsh > ~/.zfunc/_chat-gateway   # with fpath+=~/.zfunc before compinit",
            "chat-gateway completion fish > ~/.config/fish/completions/chat-gateway.fish",
        ],
    )
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def _run(program: CommandLine, options: argparse.Namespace) -> int:
    import shtab

    sys.stdout.write(shtab.complete(program, options.shell) + "\n")
    return 0
