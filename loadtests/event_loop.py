"""The asyncio event loop of this process, for users on the Python client.

It runs in a thread, which Locust patches to a greenlet. Its selector is gevent's: while it waits, the other users run.
"""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any


class EventLoop:
    """Runs from its creation to the end of the process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, work: Coroutine[Any, Any, None]) -> "Future[None]":
        """Start it; called from any other thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)
