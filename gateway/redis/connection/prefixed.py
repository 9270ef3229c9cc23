"""Adds a prefix to the key of each command. Implements `CommandExecutor`.

The Redis adapters send only through this class, so that none of them can use a key of another system.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

from gateway.redis.connection.command_client import CommandExecutor, OnResult, Script


class Prefixed:
    """Sends through `link`, with `prefix` before each command's first argument, which is its key."""

    def __init__(self, link: CommandExecutor, prefix: str) -> None:
        self._link = link
        self._prefix = prefix
        self.connected: asyncio.Event = link.connected

    def send(self, verb: str, key: str, /, *words: str | bytes | int) -> bool:
        """Implement `CommandExecutor.send`."""
        return self._link.send(verb, self._prefix + key, *words)

    def call(self, verb: str, key: str, /, *words: str | bytes | int) -> Awaitable[Any]:
        """Implement `CommandExecutor.call`."""
        return self._link.call(verb, self._prefix + key, *words)

    def run_script(self, script: Script, key: str, /, *arguments: str | bytes | int) -> Awaitable[Any]:
        """Implement `CommandExecutor.run_script`."""
        return self._link.run_script(script, self._prefix + key, *arguments)

    def start_script(self, script: Script, on_result: OnResult, key: str, /, *arguments: str | bytes | int) -> None:
        """Implement `CommandExecutor.start_script`."""
        self._link.start_script(script, on_result, self._prefix + key, *arguments)
