"""A child process that is kept running."""

import asyncio
import logging
import signal
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from typing import Final

logger = logging.getLogger("gateway.up")

RESTART_PAUSE_S: Final = 0.5
"""Before a restart of what gave up within a second of its start: no busy loop, and still within two seconds."""
SHORT_LIFE_S: Final = 1.0


class StartFailed(Exception):
    """A child gave up before it had ever worked; it has said why itself."""


class Child:
    """Starts a process again whenever it ends.

    `launch` starts it. `has_worked` turns true by somebody's word; before that, an exit of the process' own will (and
    not by a signal) is not repaired, since the next try would fail for the same reason.
    """

    def __init__(self, name: str, launch: Callable[[], Awaitable[Process]]) -> None:
        self.name = name
        self.has_worked = False
        self._launch = launch
        self._process: Process | None = None

    async def keep(self) -> None:
        """Run until cancelled; the process then still runs, for `signal` and `gone`.

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
            if status >= 0 and loop.time() - started_at < SHORT_LIFE_S:
                await asyncio.sleep(RESTART_PAUSE_S)

    async def run_once(self) -> None:
        """Run it a single time.

        Raises: StartFailed unless it ends with exit code 0.
        """
        self._process = await self._launch()
        if (status := await self._process.wait()) != 0:
            raise StartFailed(f"{self.name} failed with exit code {status}")

    @property
    def pid(self) -> int | None:
        """The running process."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def gone(self) -> None:
        """Return when the process has ended."""
        if self._process is not None:
            await self._process.wait()


async def stop(children: list[Child], *, within_s: float) -> None:
    """End them: politely, and after a while not. They must not be kept any more."""
    for child in children:
        child.signal(signal.SIGTERM)
    everybody = asyncio.gather(*(child.gone() for child in children))
    try:
        await asyncio.wait_for(asyncio.shield(everybody), within_s)
    except TimeoutError:
        for child in children:
            if child.pid is not None:
                logger.warning("killed", extra={"fields": {"process": child.name, "after_s": within_s}})
            child.signal(signal.SIGKILL)
        await everybody
