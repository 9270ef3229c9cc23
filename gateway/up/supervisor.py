"""Starts Redis, the migrations and N replicas, keeps them running, and stops them all.

Invariants: the supervisor itself never listens; a replica is ready only once all of them listen; however the supervisor
ends, every process that it started ends too (Redis by gateway.up.parent_death, a replica by gateway.up.startup).
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

from gateway.config.settings import Settings
from gateway.errors import CannotStart
from gateway.up.child_process import Child, stop
from gateway.up.embedded_redis import EmbeddedRedis
from gateway.up.ports import free_port, why_not
from gateway.up.replica import Replica, ReplicaCommand, gateway_command
from gateway.up.startup import CUT_REDIS, STOP

logger = logging.getLogger("gateway.up")

REPLICAS_STOP_S: Final = 7.0
"""Together with REDIS_STOP_S less than ten seconds, regardless of DRAIN_S: the user waits after Ctrl+C."""
REDIS_STOP_S: Final = 1.5
CUT_S: Final = 5.0
"""How long Redis stays away when an operator cuts it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The configuration of a run. `said` is the result of `sources.read`, which the replicas get as environment."""

    settings: Settings
    said: Mapping[str, str]
    replicas: int
    first_replica_port: int | None = None
    """The first of the replicas' own ports; None: any free ports."""
    command: ReplicaCommand = gateway_command
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
        """Run until SIGINT, SIGTERM or SIGHUP; returns when all processes have ended.

        A second signal makes the replicas skip the remaining waits of their drain.
        Raises: CannotStart, StartFailed, NoRedis, NoFreePort, also after all processes have ended.
        """
        work = asyncio.create_task(self._work(), name="up")
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        loop = asyncio.get_running_loop()
        for number in signals:
            loop.add_signal_handler(number, self._on_signal, work)
        try:
            with suppress(asyncio.CancelledError):
                await work
        except BaseExceptionGroup as failures:  # the keepers fail together; one error is enough
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
                    number,
                    port,
                    self._environ_of(number, environ),
                    self._plan.command,
                    self._on_listening,
                    self._on_request,
                    has_own_redis=self._redis is not None,
                )
                self._replicas.append(replica)
                keepers.create_task(replica.child.keep())

    def _own_ports(self) -> list[int]:
        """The replicas' own ports, after a check that they and the public port are free.

        Raises: CannotStart, NoFreePort.
        """
        host, public = self._plan.settings.app_host, self._plan.settings.app_port
        count, first = self._plan.replicas, self._plan.first_replica_port
        ports = [] if first is None else list(range(first, first + count))
        if public in ports:
            raise CannotStart(f"Port {public} cannot be the public port and a replica's own: choose other ports.")
        for port in (public, *ports):
            if port > 65535:
                raise CannotStart(f"Port {port} does not exist: choose a lower one.")
            if (reason := why_not(host, port)) is not None:
                option = "--port" if port == public else "--replica-ports"
                raise CannotStart(f"Port {port} on {host} cannot be used: {reason}. Choose another with {option}.")
        while len(ports) < count:
            if (port := free_port(host)) not in {public, *ports}:
                ports.append(port)
        return ports

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

    def _on_request(self, line: bytes) -> None:
        """Do what the operator asks on the page. A replica that starts, or a Redis that is away, stays as it is."""
        logger.warning("requested", extra={"fields": {"request": line.decode()}})
        if line == CUT_REDIS and self._redis is not None:
            self._redis.child.end_for(CUT_S)
        for replica in self._replicas:
            if line == STOP + str(replica.child.pid).encode() and replica.is_listening:
                replica.child.signal(signal.SIGKILL)

    async def _end(self) -> None:
        """Stop every child; the replicas first, because they still need Redis."""
        replicas = [replica.child for replica in self._replicas]
        await stop(replicas if self._migration is None else [self._migration, *replicas], within_s=REPLICAS_STOP_S)
        for replica in self._replicas:
            replica.close()
        if self._redis is not None:
            await stop([self._redis.child], within_s=REDIS_STOP_S)
            self._redis.close()
