"""Combines single reads of one kind: keys that are requested while a statement runs share the next statement.

So a storm of clients costs the database one statement for some hundred of them, and a single request is read at once.
Every answer was read after its request. The reading task ends with the last request, within the database's time limit.

Keeps: an answer for many wakes ANSWERS_A_TURN of them in one turn of the event loop, in the order of their requests.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, Generic, TypeVar

from storage.errors import StorageUnavailable

LIMIT: Final = 500
"""Requests per statement."""
ANSWERS_A_TURN: Final = 16
"""Who is woken goes on with its work: 200 handshakes that were admitted together held the loop for 20 to 29 ms."""

Key = TypeVar("Key")
Answer = TypeVar("Answer")


class Coalescer(Generic[Key, Answer]):
    """`read` returns the answers for many keys; a key that it leaves out has no answer."""

    def __init__(self, read: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Answer]]]) -> None:
        self._read = read
        self._waiting: list[tuple[Key, asyncio.Future[Answer | None]]] = []
        self._asking: asyncio.Task[None] | None = None
        self._answered: deque[Callable[[], None]] = deque()
        """Each wakes one who asked, in a later turn of the event loop."""

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
        except Exception as error:
            if isinstance(error, StorageUnavailable):  # the next statement would time out in the same way
                asked, self._waiting = [*asked, *self._waiting], []
            self._wake([partial(_fail, future, error) for _, future in asked])
        except BaseException:
            for _, future in asked:
                future.cancel()
            raise
        else:
            self._wake([partial(_answer, future, answers.get(key)) for key, future in asked])

    def _wake(self, those: Sequence[Callable[[], None]]) -> None:
        is_waking = bool(self._answered)
        self._answered += those
        if not is_waking:
            self._wake_some()

    def _wake_some(self) -> None:
        for _ in range(min(ANSWERS_A_TURN, len(self._answered))):
            self._answered.popleft()()
        if self._answered:
            asyncio.get_running_loop().call_soon(self._wake_some)


def _answer(future: asyncio.Future[Answer | None], answer: Answer | None) -> None:
    if not future.done():  # its caller may have been cancelled
        future.set_result(answer)


def _fail(future: asyncio.Future[Answer | None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
