"""What each replica last reported of itself. Implements `gateway.node.upkeep.replica_reporter.ReplicaReports`.

One hash on one Redis, of which a replica writes its own field only. Its age counts by Redis' clock.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.protocol.replica_report import KEPT_S, Report, Seen
from gateway.redis.connection.command_client import CommandExecutor, Script

KEY: Final = "replicas"
SCRIPT: Final = Script(Path(__file__).with_suffix(".lua"))
TTL_MS: Final = round(KEPT_S * 1000)


class RedisReplicas:
    """The reports on one Redis."""

    def __init__(self, link: CommandExecutor) -> None:
        self._link = link

    async def put(self, report: Report) -> None:
        """Implement `ReplicaReports.put`."""
        await self._link.run_script(SCRIPT, KEY, TTL_MS, report.replica, msgspec.json.encode(report))

    async def all(self) -> list[Seen]:
        """Implement `ReplicaReports.all`. What another version wrote and this one cannot read is left out."""
        words: Sequence[bytes] = await self._link.run_script(SCRIPT, KEY, TTL_MS)
        found = []
        for age_ms, text in zip(words[1::3], words[2::3], strict=True):
            try:
                found.append(Seen(int(age_ms) / 1000, msgspec.json.decode(text, type=Report)))
            except msgspec.MsgspecError:
                continue
        return found
