"""Waiting for conditions."""

import asyncio
from collections.abc import Awaitable, Callable

TIMEOUT_S = 30.0


async def eventually(condition: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> float:
    """Return once the condition holds; the seconds that it took. Raises: TimeoutError."""
    started = asyncio.get_running_loop().time()
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)
    return asyncio.get_running_loop().time() - started


async def eventually_async(condition: Callable[[], Awaitable[bool]], timeout_s: float = TIMEOUT_S) -> None:
    """Return once the asynchronous condition holds. Raises: TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not await condition():
            await asyncio.sleep(0.01)
