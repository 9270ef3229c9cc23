"""The command."""

import argparse
import asyncio
import os
import sys
from typing import Final
from urllib.parse import urlsplit

from gateway.commands.command import Commands, add_command
from gateway.errors import CommandError

PASSWORD: Final = "CHAT_GATEWAY_PASSWORD"  # noqa: S105 - the name of an environment variable
URL: Final = "http://127.0.0.1:8000"


def add(commands: Commands) -> None:
    """Add the command."""
    chat = add_command(
        commands,
        "chat",
        "talk to somebody from a terminal, over a running system",
        _run,
        details=f"A new login is registered with the password that is asked for, or that {PASSWORD} holds. Lines are"
        " sent once and in order, also when the connection is lost meanwhile.",
        examples=[
            "chat-gateway chat --as ann --with bob          # in one terminal",
            "chat-gateway chat --as bob --with ann          # in another",
            "echo Deployed. | chat-gateway chat --as ann --chat 2001 --url https://chat.example.com",
        ],
    )
    chat.add_argument("--as", dest="login", required=True, metavar="LOGIN", help="who you are")
    chat.add_argument("--url", default=URL, help=f"the URL of the system (default: {URL})")
    where = chat.add_mutually_exclusive_group(required=True)
    where.add_argument("--with", dest="other", metavar="LOGIN", help="whom to talk to, in the direct chat of the two")
    where.add_argument("--chat", metavar="CHAT", help="the chat to talk in: its id, or key:… with its key")


def _run(options: argparse.Namespace) -> int:
    parts = urlsplit(options.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CommandError(f"{options.url} is no URL; give one like {URL}.")
    asyncio.run(_talk(options.url.rstrip("/"), options.login, _password(options.login), options.other, options.chat))
    return 0


def _password(login: str) -> str:
    if password := os.environ.get(PASSWORD):
        return password
    if not sys.stdin.isatty():
        raise CommandError(f"Set {PASSWORD} to the password of {login}: standard input is not a terminal.")
    from getpass import getpass

    return getpass(f"Password of {login} (of your choice, if this is a new login): ")


async def _talk(base: str, login: str, password: str, other: str | None, chat: str | None) -> None:
    from gateway.commands.chat.account import TerminalUser
    from gateway.commands.chat.talk import Talk
    from gateway.commands.chat.terminal import say, typed_lines

    user = TerminalUser(base, login, password, say)
    chat_id = await user.chat_with(other) if other is not None else await user.chat_id(str(chat))
    url = f"ws{base.removeprefix('http')}/ws/chat/{chat_id}/"
    failed: Exception | None = None
    try:
        await Talk(url, login, user.token, say).run(typed_lines())
    except* CommandError as errors:
        failed = errors.exceptions[0]
    if failed is not None:  # raised above, Python before 3.11.4 would wrap it in a group
        raise failed
