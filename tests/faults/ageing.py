"""A chat whose events grow old while faults happen: retention removes them then, and nothing newer."""

import asyncio
from contextlib import suppress
from typing import Final

import asyncpg

from storage.repositories.upkeep import retention
from tests.faults.rig import Rig
from tests.faults.world import World

EVERY_S: Final = 3.0
KEPT: Final = 50
"""The last events of the chat stay young: what members edit, delete, react and reply to is among them."""
TRY_S: Final = 5.0
_KEEP: Final = "UPDATE chats SET retention_days = 1 WHERE id = $1"
_AGE: Final = """
UPDATE chat_log SET created_at = created_at - interval '10 days'
WHERE chat_id = $1 AND seq <= $2 AND created_at > now() - interval '5 days'"""


def hurry() -> None:
    """Let this process look for old events all the time, and take over from a dead node soon."""
    for name, value in {"LOOK_S": 1.0, "INTERVAL_S": 1, "LEASE_S": 5}.items():
        setattr(retention, name, value)


async def keep_a_day(rig: Rig, chat: int) -> None:
    """The chat keeps its events for a day."""
    await _execute(rig, _KEEP, chat)


async def age(world: World, rig: Rig, chat: int) -> None:
    """While there is writing, date all but the last events of the chat back, whatever is broken."""
    while world.is_writing:
        await asyncio.sleep(EVERY_S)
        seq = world.acked_seq.get(chat, 0) - KEPT
        if seq > world.history.aged.get(chat, 0):
            world.history.aged[chat] = seq  # before they are: they may be gone a moment later
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await _execute(rig, _AGE, chat, seq)


async def _execute(rig: Rig, sql: str, *values: int) -> None:
    async with asyncio.timeout(TRY_S):
        connection = await asyncpg.connect(rig.database_url)
        try:
            await connection.execute(sql, *values)
        finally:
            connection.terminate()
