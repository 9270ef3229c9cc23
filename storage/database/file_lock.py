"""The lock file beside a SQLite database: its holder is the only writer.

SQLite's own busy handler sleeps for random times: over 4 processes the slowest of a hundred commits waited 333 ms, with
this lock 33 ms (`docs/message-log.md`). The kernel releases the lock when its process dies, however it dies.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

_POLL_S = 0.001


class FileLock:
    """An exclusive lock on a file, over threads and processes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def held(self, timeout_s: float) -> Iterator[None]:
        """Hold the lock; blocks the calling thread for at most `timeout_s`.

        Raises: TimeoutError.
        """
        deadline = time.monotonic() + timeout_s
        with self._opened() as lock_file:
            while not _take(lock_file):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self._path} was held by others for {timeout_s} s")
                time.sleep(_POLL_S)
            yield

    @asynccontextmanager
    async def held_in_task(self) -> AsyncIterator[None]:
        """Hold the lock; waits without blocking the loop. The caller sets the time limit."""
        with self._opened() as lock_file:
            while not _take(lock_file):  # noqa: ASYNC110 - the kernel does not notify when a lock is free
                await asyncio.sleep(_POLL_S)
            yield

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """A descriptor of this caller: flock locks the open file, so it excludes threads too. Closing releases it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
