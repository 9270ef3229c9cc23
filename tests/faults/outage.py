"""Kinds of outage of a server: silent with open connections, or dead."""

import asyncio

from tests.faults.rig import in_thread
from tests.support.servers import Server


async def hold_still(server: Server, duration_s: float) -> None:
    """It does nothing for so long, and then goes on as if it had not been."""
    server.pause()
    try:
        await asyncio.sleep(duration_s)
    finally:
        server.resume()


async def be_dead(server: Server, duration_s: float) -> None:
    """Kill it; so long after it is gone, start it again; return once it serves."""
    await in_thread(server.kill)
    await asyncio.sleep(duration_s)
    await in_thread(server.start)
