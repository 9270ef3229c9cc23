"""How late the event loop is: the one figure that says a node is overloaded before its clients do."""

import asyncio
from collections.abc import Callable

INTERVAL_S = 1.0


async def measure_loop_lag(report: Callable[[float], None]) -> None:
    """Report for ever by how many seconds a timer fired late."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + INTERVAL_S
        await asyncio.sleep(INTERVAL_S)
        report(max(0.0, loop.time() - due))
