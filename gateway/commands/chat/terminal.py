"""The terminal: the lines that are typed, and those that are shown."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Final

from gateway.command_line import printable

_INPUT: Final = 0
MAX_LINE: Final = 64 * 1024
"""Bytes of input without an end of a line, which are then taken as one."""


async def typed_lines() -> AsyncIterator[str]:
    """The lines of standard input that are not empty.

    Read by a thread that ends with the process, since any kind of input may block; it is at most one line ahead.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    room = threading.Semaphore(1)

    def put(line: str | None) -> None:
        room.acquire()
        loop.call_soon_threadsafe(queue.put_nowait, line)

    def read() -> None:
        with suppress(RuntimeError):  # the loop was closed
            for line in _lines():
                put(line)
            put(None)

    threading.Thread(target=read, name="terminal", daemon=True).start()
    while (line := await queue.get()) is not None:
        if line.strip():
            yield line
        room.release()


def _lines() -> Iterator[str]:
    """Not by sys.stdin, whose lock the thread would hold when Python ends."""
    rest = b""
    while data := os.read(_INPUT, MAX_LINE):
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) >= MAX_LINE:
            lines, rest = [*lines, rest], b""
        yield from (line.decode(errors="replace") for line in lines)
    if rest:
        yield rest.decode(errors="replace")


def say(line: str) -> None:
    """Show a line."""
    sys.stdout.write(f"{printable(line)}\n")
    sys.stdout.flush()
