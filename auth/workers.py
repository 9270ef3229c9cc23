"""Threads for work that would block the event loop: a fixed number of them, behind a queue with a limit."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from auth.errors import Overloaded

T = TypeVar("T")


class Workers:
    """At most `threads` calls run at once and at most `waiting` more wait; whoever comes then is refused at once."""

    def __init__(self, name: str, *, threads: int, waiting: int) -> None:
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)
        self._places = threading.BoundedSemaphore(threads + waiting)
        self.under_way = 0
        """Calls that were taken and have not been answered, as the event loop sees it."""

    async def run(self, call: Callable[[], T]) -> T:
        """What `call` returns or raises. If the caller is cancelled, a call that has begun runs on and keeps its place.

        Raises: Overloaded.
        """
        if not self._places.acquire(blocking=False):
            raise Overloaded
        future = self._executor.submit(call)
        future.add_done_callback(self._leave)
        self.under_way += 1
        try:
            return await asyncio.wrap_future(future)
        finally:
            self.under_way -= 1

    def close(self) -> None:
        """Drop what waits and let go of the threads, without waiting for calls that are under way."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _leave(self, _: Future[T]) -> None:
        self._places.release()
