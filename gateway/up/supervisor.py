"""Starts Redis, the migrations and N replicas, keeps them running, and ends them all.

Invariants: it never listens itself; a replica is ready only once all of them listen; whatever ends the supervisor
ends every process that it started (Redis by gateway.up.tether, a replica by gateway.up.gate).
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from gateway.settings import Settings
from gateway.up.child import Child, stop
from gateway.up.embedded_redis import EmbeddedRedis
from gateway.up.ports import free_port, why_not
from gateway.up.replica import Command, Replica, gateway_command

logger = logging.getLogger("gateway.up")

REPLICAS_STOP_S: Final = 7.0
"""With REDIS_STOP_S less than ten seconds, whatever DRAIN_S says: who typed Ctrl+C is waiting."""
REDIS_STOP_S: Final = 1.5


class CannotStart(Exception):
    """A sentence for whoever typed the command."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start. `said` is what `gateway.settings.read` returned; the replicas get it as their environment."""

    settings: Settings
    said: Mapping[str, str]
    replicas: int
    first_replica_port: int | None = None
    """The replicas' own ports begin here; None: any free ones."""
    command: Command = gateway_command
    migrate: Sequence[str] = (sys.executable, "-m", "gateway.cli", "migrate")


class Supervisor:
    """One run of `up`. `on_ready(replica_ports)` is called once, when every replica listens."""

    def __init__(self, plan: Plan, on_ready: Callable[[list[int]], None]) -> None:
        self._plan = plan
        self._on_ready = on_ready
        self._redis: EmbeddedRedis | None = None
        self._migration: Child | None = None
        self._replicas: list[Replica] = []
        self._has_started = False

    async def run(self) -> None:
        """Return after SIGINT, SIGTERM or SIGHUP, when nothing is left; a second signal hurries the replicas.

        Raises: CannotStart, StartFailed, NoRedis, NoFreePort; nothing is left then either.
        """
        work = asyncio.create_task(self._work(), name="up")
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        loop = asyncio.get_running_loop()
        for number in signals:
            loop.add_signal_handler(number, self._on_signal, work)
        try:
            with suppress(asyncio.CancelledError):
                await work
        except BaseExceptionGroup as failures:  # the keepers fail together; one sentence is enough
            raise failures.exceptions[0] from None
        finally:
            await self._end()
            for number in signals:
                loop.remove_signal_handler(number)

    def _on_signal(self, work: "asyncio.Task[None]") -> None:
        if not work.done() and not work.cancelling():
            work.cancel()
            return
        for replica in self._replicas:
            replica.child.signal(signal.SIGTERM)

    async def _work(self) -> None:
        ports = self._own_ports()
        async with asyncio.TaskGroup() as keepers:
            environ = {**os.environ, **self._plan.said}
            if not self._plan.settings.redis_url:
                self._redis = EmbeddedRedis()
                environ["REDIS_URL"] = self._redis.url
                keepers.create_task(self._redis.child.keep())
                await self._redis.ready()
            await self._migrate(environ)
            for number, port in enumerate(ports, start=1):
                replica = Replica(
                    number, port, self._environ_of(number, environ), self._plan.command, self._on_listening
                )
                self._replicas.append(replica)
                keepers.create_task(replica.child.keep())

    def _own_ports(self) -> list[int]:
        """The replicas' own ports, after a look whether we may have them and the public one.

        Raises: CannotStart, NoFreePort.
        """
        host, public = self._plan.settings.app_host, self._plan.settings.app_port
        count, first = self._plan.replicas, self._plan.first_replica_port
        wanted = [] if first is None else list(range(first, first + count))
        if public in wanted:
            raise CannotStart(f"Port {public} cannot be the public port and a replica's own: choose other ports.")
        for port in (public, *wanted):
            if port > 65535:
                raise CannotStart(f"Port {port} does not exist: choose a lower one.")
            if (reason := why_not(host, port)) is not None:
                raise CannotStart(f"Port {port} on {host} cannot be used: {reason}.")
        while len(wanted) < count:
            if (port := free_port(host)) not in {public, *wanted}:
                wanted.append(port)
        return wanted

    def _environ_of(self, number: int, environ: Mapping[str, str]) -> dict[str, str]:
        metrics_port = self._plan.settings.metrics_port
        if metrics_port is None:
            return dict(environ)
        return {**environ, "METRICS_PORT": str(metrics_port + number - 1)}

    async def _migrate(self, environ: Mapping[str, str]) -> None:
        async def launch() -> asyncio.subprocess.Process:
            return await asyncio.create_subprocess_exec(*self._plan.migrate, env=environ, process_group=0)

        self._migration = Child("migrate", launch)
        await self._migration.run_once()

    def _on_listening(self) -> None:
        if not all(replica.is_listening for replica in self._replicas) and not self._has_started:
            return
        for replica in self._replicas:
            replica.go()
        if not self._has_started:
            self._has_started = True
            self._on_ready([replica.own_port for replica in self._replicas])

    async def _end(self) -> None:
        """End every child; the replicas first, since they still need Redis."""
        replicas = [replica.child for replica in self._replicas]
        await stop(replicas if self._migration is None else [self._migration, *replicas], within_s=REPLICAS_STOP_S)
        for replica in self._replicas:
            replica.close()
        if self._redis is not None:
            await stop([self._redis.child], within_s=REDIS_STOP_S)
            self._redis.close()
