"""Background tasks with an owner, which keeps a reference to each and logs each failure; and the delay of retries."""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

logger = logging.getLogger("gateway.tasks")

_T = TypeVar("_T")

CANCEL_AGAIN_S: Final = 5.0
"""Longer than the cleanup of any task takes. Before Python 3.12 `asyncio.wait_for`, which libraries use while they
connect, loses a cancellation that coincides with completion: a task that reconnects would never end, nor its node."""


class Tasks:
    """Tasks that are cancelled when their owner is closed.

    `on_failure(name, error)` is called for every task that ends with an exception.
    """

    def __init__(self, on_failure: Callable[[str, BaseException], None] | None = None) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._on_failure = on_failure

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work` as a task of this owner."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            logger.error("task_failed", exc_info=error, extra={"fields": {"task": task.get_name()}})
            if self._on_failure is not None:
                self._on_failure(task.get_name(), error)

    async def close(self) -> None:
        """Cancel all running tasks, and wait for their end; those that run on are cancelled again in CANCEL_AGAIN_S."""
        running = set(self._tasks)
        while running:
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_S)


def settle(future: asyncio.Future[_T], value: _T) -> None:
    """Set the result of a future, unless it is done: its waiter may have been cancelled."""
    if not future.done():
        future.set_result(value)


def full_jitter(attempt: int, max_s: float = 1.0) -> float:
    """The delay before the next attempt in seconds: random below a bound that doubles, so that retries spread out."""
    return random.uniform(0, min(max_s, 0.05 * 2 ** min(attempt, 16)))  # noqa: S311 - spreads load
