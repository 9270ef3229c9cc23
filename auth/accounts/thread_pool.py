"""Threads for work that would block the event loop: a fixed number of them, behind a queue with a limit."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from auth.errors import Overloaded

T = TypeVar("T")


class Workers:
    """At most `threads` calls run at once and at most `waiting` more wait; any further call is rejected at once."""

    def __init__(self, name: str, *, threads: int, waiting: int) -> None:
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)
        self._places = threading.BoundedSemaphore(threads + waiting)
        self.under_way = 0
        """Accepted calls whose result the event loop has not received."""

    async def run(self, call: Callable[[], T]) -> T:
        """Return or raise what `call` does, in the context variables of the caller.

        If the caller is cancelled, a running call continues and keeps its place.

        Raises: Overloaded.
        """
        if not self._places.acquire(blocking=False):
            raise Overloaded
        future = self._executor.submit(contextvars.copy_context().run, call)
        future.add_done_callback(self._leave)
        self.under_way += 1
        try:
            return await asyncio.wrap_future(future)
        finally:
            self.under_way -= 1

    def close(self) -> None:
        """Drop waiting calls and release the threads, without waiting for running calls."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _leave(self, _: Future[T]) -> None:
        self._places.release()
