"""Questions of one kind, asked together: what is asked while an answer is under way makes the next statement.

So a storm of clients costs the database a statement for some hundred of them, and a lone one is asked at once. Every
answer is younger than its question. The asking task ends by itself with the last question, within the database's bound.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from storage.errors import StorageUnavailable

LIMIT = 500
"""Questions a statement."""

Key = TypeVar("Key")
Answer = TypeVar("Answer")


class Together(Generic[Key, Answer]):
    """`read` answers many at once; keys that it leaves out have no answer."""

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
                await asyncio.sleep(0)  # who comes in this turn asks along: half the statements while many connect
                asked, self._waiting = self._waiting[:LIMIT], self._waiting[LIMIT:]
                await self._ask([(key, future) for key, future in asked if not future.done()])
        finally:
            self._asking = None

    async def _ask(self, asked: Sequence[tuple[Key, asyncio.Future[Answer | None]]]) -> None:
        try:
            answers = await self._read(list(dict.fromkeys(key for key, _ in asked))) if asked else {}
            for key, future in asked:
                if not future.done():  # who asked may have left
                    future.set_result(answers.get(key))
        except Exception as error:
            if isinstance(error, StorageUnavailable):  # who waited for it would wait as long again, to hear the same
                asked, self._waiting = [*asked, *self._waiting], []
            for _, future in asked:
                if not future.done():
                    future.set_exception(error)
        finally:
            for _, future in asked:
                future.cancel()  # nothing where it is done; else this task was cancelled
