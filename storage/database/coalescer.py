"""Combines single reads of one kind: keys that are requested while a statement runs share the next statement.

So a storm of clients costs the database one statement for some hundred of them, and a single request is read at once.
Every answer was read after its request. The reading task ends with the last request, within the database's time limit.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from storage.errors import StorageUnavailable

LIMIT = 500
"""Requests per statement."""

Key = TypeVar("Key")
Answer = TypeVar("Answer")


class Coalescer(Generic[Key, Answer]):
    """`read` returns the answers for many keys; a key that it leaves out has no answer."""

    def __init__(self, read: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Answer]]]) -> None:
        self._read = read
        self._waiting: list[tuple[Key, asyncio.Future[Answer | None]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, key: Key) -> Answer | None:
        """The answer, if there is one.

        Raises: what `read` raises.
        """
        future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, future))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_all(), name="together")
        return await future

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(0)  # requests of this turn are included: half the statements while many connect
                asked, self._waiting = self._waiting[:LIMIT], self._waiting[LIMIT:]
                await self._ask([(key, future) for key, future in asked if not future.done()])
        finally:
            self._asking = None

    async def _ask(self, asked: Sequence[tuple[Key, asyncio.Future[Answer | None]]]) -> None:
        try:
            answers = await self._read(list(dict.fromkeys(key for key, _ in asked))) if asked else {}
            for key, future in asked:
                if not future.done():  # its caller may have been cancelled
                    future.set_result(answers.get(key))
        except Exception as error:
            if isinstance(error, StorageUnavailable):  # the next statement would time out in the same way
                asked, self._waiting = [*asked, *self._waiting], []
            for _, future in asked:
                if not future.done():
                    future.set_exception(error)
        finally:
            for _, future in asked:
                future.cancel()  # has no effect on a finished one; otherwise this task was cancelled
