"""Carries out erasures of users: one node at a time works on each, and any other goes on when it stops.

The batches are bounded and have pauses between them; open sockets learn of deleted messages by the check of positions.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from gateway.errors import WorkTaken
from storage.errors import StorageUnavailable
from storage.profile_records import Erasure

INTERVAL_S: Final = 5.0
PAUSE_S: Final = 0.02
"""Between two batches, which leaves the database to others."""

logger = logging.getLogger("gateway.upkeep")


class ErasureSteps(Protocol):
    """Implemented by `storage.repositories.upkeep.erasure_work`, which says what each does.

    Every method raises StorageUnavailable.
    """

    async def claim(self) -> Erasure | None: ...  # noqa: D102
    async def hold(self, user_id: int) -> bool: ...  # noqa: D102
    async def oldest(self) -> int | None: ...  # noqa: D102
    async def chats_after(self, user_id: int, chat_id: int) -> tuple[list[int], int | None]: ...  # noqa: D102
    async def advance(self, user_id: int, chat_id: int) -> None: ...  # noqa: D102
    async def leave(self, chat_id: int, user_id: int) -> bool: ...  # noqa: D102
    async def erase_messages(self, erasure: Erasure, chat_id: int, after: str) -> str | None: ...  # noqa: D102
    async def delete_lines(self, user_id: int) -> int: ...  # noqa: D102
    async def finish(self, user_id: int) -> bool: ...  # noqa: D102
    async def forget_identities(self) -> None: ...  # noqa: D102


class ErasureJob:
    """`on_left(chat_id, user_id)` is called after each membership that ended."""

    def __init__(self, store: ErasureSteps, on_left: Callable[[int, int], None], pause_s: float = PAUSE_S) -> None:
        self._store = store
        self._on_left = on_left
        self._pause_s = pause_s
        self._requested = asyncio.Event()

    def soon(self) -> None:
        """Look for work now: an erasure was requested on this node."""
        self._requested.set()

    async def run(self) -> None:
        """Carry out what was requested, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(random.uniform(0.5, 1.5) * INTERVAL_S):  # noqa: S311 - spreads the nodes
                    await self._requested.wait()
            self._requested.clear()
            try:
                await self.work()
            except StorageUnavailable as error:
                logger.warning("erasures_postponed", extra={"fields": {"error": str(error)}})

    async def work(self) -> None:
        """Carry out every erasure that no other node works on.

        Raises: StorageUnavailable.
        """
        await self._store.forget_identities()
        while (erasure := await self._store.claim()) is not None:
            try:
                await self._carry_out(erasure)
            except WorkTaken:
                logger.warning("erasure_taken_over", extra={"fields": {"user_id": erasure.user_id}})

    async def _carry_out(self, erasure: Erasure) -> None:
        user_id = erasure.user_id
        await self._walk(erasure, erasure.chat_cursor)
        while await self._store.delete_lines(user_id):
            await self._next(user_id)
        while not await self._store.finish(user_id):
            await asyncio.sleep(1.0)
            await self._next(user_id)
            await self._walk(erasure, 0)  # what was under way when it was requested
        logger.info("user_erased", extra={"fields": {"user_id": user_id, "messages": erasure.messages}})

    async def _walk(self, erasure: Erasure, cursor: int) -> None:
        user_id = erasure.user_id
        while True:
            chat_ids, last = await self._store.chats_after(user_id, cursor)
            if last is None:
                return
            for chat_id in chat_ids:
                await self._one_chat(erasure, chat_id)
            cursor = last
            await self._store.advance(user_id, cursor)
            await self._next(user_id)

    async def _one_chat(self, erasure: Erasure, chat_id: int) -> None:
        user_id = erasure.user_id
        if await self._store.leave(chat_id, user_id):
            self._on_left(chat_id, user_id)
        after: str | None = ""
        while after is not None:
            after = await self._store.erase_messages(erasure, chat_id, after)
            await self._next(user_id)

    async def _next(self, user_id: int) -> None:
        await asyncio.sleep(self._pause_s)
        if not await self._store.hold(user_id):
            raise WorkTaken
