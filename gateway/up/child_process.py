"""Supervises a child process."""

import asyncio
import logging
import signal
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.errors import StartFailed

logger = logging.getLogger("gateway.up")

RESTART_PAUSE_S: Final = 0.5
"""The pause before the restart of a process that exited within SHORT_LIFE_S of its start.

It prevents a busy loop, and the restart is still within two seconds."""
SHORT_LIFE_S: Final = 1.0


class Child:
    """Restarts a process whenever it ends.

    `launch` starts it. The owner sets `has_worked`; before that, a process that exits by itself (not by a signal) is
    not restarted, because the next start would fail for the same reason.
    """

    def __init__(self, name: str, launch: Callable[[], Awaitable[Process]]) -> None:
        self.name = name
        self.has_worked = False
        self._launch = launch
        self._process: Process | None = None
        self._pause_s = 0.0

    async def keep(self) -> None:
        """Keep the process running until cancelled; the process itself then still runs, for `signal` and `gone`.

        Raises: StartFailed.
        """
        loop = asyncio.get_running_loop()
        while True:
            started_at = loop.time()
            self._process = await self._launch()
            status = await self._process.wait()
            if not self.has_worked and status > 0:
                raise StartFailed(f"{self.name} gave up with exit code {status}")
            why = signal.Signals(-status).name if status < 0 else f"exit code {status}"
            logger.warning("restarting", extra={"fields": {"process": self.name, "ended_by": why}})
            if self._pause_s:
                pause_s, self._pause_s = self._pause_s, 0.0
                await asyncio.sleep(pause_s)
            elif status >= 0 and loop.time() - started_at < SHORT_LIFE_S:
                await asyncio.sleep(RESTART_PAUSE_S)

    async def run_once(self) -> None:
        """Run the process once.

        Raises: StartFailed unless it ends with exit code 0.
        """
        self._process = await self._launch()
        if (status := await self._process.wait()) != 0:
            raise StartFailed(f"{self.name} failed with exit code {status}")

    @property
    def pid(self) -> int | None:
        """The id of the process; None if it is not running."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it is running."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def end_for(self, seconds: float) -> None:
        """Kill the process, if it is running; `keep` starts it again after that time."""
        if self.pid is not None:
            self._pause_s = seconds
            self.signal(signal.SIGKILL)

    async def gone(self) -> None:
        """Wait for the end of the process."""
        if self._process is not None:
            await self._process.wait()


async def stop(children: list[Child], *, within_s: float) -> None:
    """Stop the children with SIGTERM, and after `within_s` with SIGKILL. Their `keep` must have been cancelled."""
    for child in children:
        child.signal(signal.SIGTERM)
    all_gone = asyncio.gather(*(child.gone() for child in children))
    try:
        await asyncio.wait_for(asyncio.shield(all_gone), within_s)
    except TimeoutError:
        for child in children:
            if child.pid is not None:
                logger.warning("killed", extra={"fields": {"process": child.name, "after_s": within_s}})
            child.signal(signal.SIGKILL)
        await all_gone
